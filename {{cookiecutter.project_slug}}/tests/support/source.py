"""The project's own source, parsed: what the rules of tests/architecture are checked on."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dev.environment import ROOT

APP = ROOT / "src" / "app"
PATTERNS = APP / "patterns"
FLOORS = {"kit", "patterns", "commands"}


def modules(*folders: str) -> list[Path]:
    """Return every Python file below `folders` of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the path relative to the project, such as `src/app/main.py`."""
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


def calls(path: Path) -> Iterator[ast.Call]:
    """Yield every call in a file."""
    return (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))


def called_name(call: ast.Call) -> str:
    """Return the last word of what is called: `info` for `_log.info(...)`."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def cases_in(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the tests of a file."""
    functions = (node for node in parsed(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function for function in functions if function.name.startswith("test_")]


def domains() -> list[str]:
    """Return the folders of floor 3."""
    folders = (path.parent.name for path in APP.glob("*/__init__.py"))
    return sorted(name for name in folders if name not in FLOORS)


def patterns() -> list[Path]:
    """Return the modules that hold the cards: `body_limit.py`, `outbox/__init__.py`, ..."""
    single = [path for path in PATTERNS.glob("*.py") if path.name != "__init__.py"]
    return sorted([*single, *PATTERNS.glob("*/__init__.py")], key=pattern_name)


def pattern_name(card: Path) -> str:
    """Return the pattern's name, as `ls src/app/patterns` shows it."""
    return card.parent.name if card.name == "__init__.py" else card.stem
