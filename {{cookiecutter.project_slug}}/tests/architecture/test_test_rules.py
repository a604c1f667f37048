"""Tests say what is true, and can fail."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.source import called_name, cases_in, modules, name_of, parsed

FILES = [path for path in modules("tests") if path.name.startswith("test_")]
FILE = pytest.mark.parametrize("path", FILES, ids=name_of)
FAILS = {
    "pytest.raises",
    "pytest.fail",
    "asyncio.timeout",
    "asyncio.wait_for",
}  # a deadline that passes is a failure too
WAITS_AND_FAILS = {"eventually", "in_state"}  # raise AssertionError when what they wait for does not come


@FILE
def test_a_test_says_what_is_true(path: Path) -> None:
    """Each test has one sentence, or two that belong together, from the capital to the full stop."""
    sentences = {function.name: ast.get_docstring(function) or "" for function in cases_in(path)}

    assert [name for name, text in sentences.items() if not re.fullmatch(r"[A-Z0-9`/].*\.", text)] == []


@FILE
def test_a_test_can_fail(path: Path) -> None:
    """Each test asserts something, itself or in a function of its file, or waits for something that must come."""
    helpers = {
        node.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("test_")
        and _asserts(node)
    }

    toothless = [
        function.name
        for function in cases_in(path)
        if not _asserts(function) and not helpers & {called_name(call) for call in _calls(function)}
    ]
    assert toothless == []


@FILE
def test_no_test_is_left_out(path: Path) -> None:
    """Nothing is skipped or expected to fail: a test that cannot pass is repaired or deleted."""
    marks = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}

    assert marks & {"skip", "skipif", "xfail", "importorskip"} == set()


@FILE
def test_no_test_waits_by_guessing(path: Path) -> None:
    """Tests move the clock or poll with a deadline; `sleep` is only for what a test holds up on purpose."""
    waits = [
        ast.unparse(call)
        for function in cases_in(path)
        for call in _calls(function)
        if called_name(call) == "sleep" and call.args and not _is_zero_or_long(call.args[0])
    ]

    assert waits == []


def _calls(function: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Call)]


def _asserts(function: ast.AST) -> bool:
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    called = {(ast.unparse(call.func), called_name(call)) for call in _calls(function)}
    return any(full in FAILS or name in WAITS_AND_FAILS for full, name in called)


def _is_zero_or_long(argument: ast.expr) -> bool:
    """Return whether a pause gives way once, or is so long that a test which waits for it would fail."""
    return (
        isinstance(argument, ast.Constant) and isinstance(argument.value, int | float) and not 0 < argument.value < 30
    )
