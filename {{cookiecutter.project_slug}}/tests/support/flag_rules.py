"""What the rules about feature flags are checked with: who declares them, asks for them, and tests both sides."""

import ast
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from types import ModuleType

from app.patterns.feature_flags import Experiment, Flag, KillSwitch, ReleaseFlag, Switch
from tests.support.source import APP, called_name, domains

KINDS = {kind.__name__ for kind in (Experiment, Flag, KillSwitch, ReleaseFlag, Switch)}
_ASKS = {"is_on", "variant"}


def declarations() -> dict[str, ModuleType]:
    """Return the module of each domain that declares flags."""
    return {name: import_module(f"app.{name}.flags") for name in domains() if (APP / name / "flags.py").exists()}


def constants(module: ModuleType) -> dict[str, Flag]:
    """Return the flags of a module, by the constant that code asks with."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Flag)}


def misuses(tree: ast.Module, known: Collection[str]) -> Iterator[str]:
    """Yield each place that makes a flag, or asks for one by anything but `flags.ITS_CONSTANT`."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if called_name(call) in KINDS:
            yield f"line {call.lineno}: a flag is declared in the flags.py of its domain"
    for asked, line in questions(tree):
        if not (asked.startswith("flags.") and asked.removeprefix("flags.") in known):
            yield f"line {line}: {asked} is no registered flag"


def questions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield what is asked for, as it is written, and the line."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ASKS:
            yield ast.unparse(call.args[0]) if call.args else "nothing", call.lineno


def sides(trees: Iterable[ast.Module]) -> set[tuple[str, object]]:
    """Return constants of flags, and the answers that tests give them: `FixedFlags({flags.CONSTANT: True})`."""
    return {
        (key.attr, value.value)
        for tree in trees
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and called_name(call) == "FixedFlags"
        for given in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(given, ast.Dict)
        for key, value in zip(given.keys, given.values, strict=True)
        if isinstance(key, ast.Attribute) and isinstance(value, ast.Constant)
    }


def wanted_sides(name: str, flag: Flag) -> set[tuple[str, object]]:
    """Return all that tests have to give a flag."""
    answers: Collection[object] = flag.variants if isinstance(flag, Experiment) else (True, False)
    return {(name, answer) for answer in answers}
