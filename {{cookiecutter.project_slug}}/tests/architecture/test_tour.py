"""docs/tour.md leads where it says: an outdated tour is worse than none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.environment import ROOT

TOUR = ROOT / "docs" / "tour.md"
MAIN = ROOT / "src" / "app" / "main.py"
TEXT = TOUR.read_text()
STOPS = sorted(set(re.findall(r"(?<!!)\[`([\w.]+)`\]\(([^)]+)\)", TEXT)))


def symbols(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of classes, methods, functions and module constants; methods also by themselves."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from {f"{prefix}{node.name}", node.name}
            if isinstance(node, ast.ClassDef):
                yield from symbols(node, f"{node.name}.")
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (f"{prefix}{target.id}" for target in targets if isinstance(target, ast.Name))


def layers_of(main: Path) -> list[str]:
    """Return the classes in the `middleware` list, outside in."""
    (layers,) = [
        node.value
        for node in ast.walk(ast.parse(main.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "middleware"
    ]
    assert isinstance(layers, ast.List)
    return [ast.unparse(layer.args[0]).split(".")[-1] for layer in layers.elts if isinstance(layer, ast.Call)]


@pytest.mark.parametrize(("symbol", "link"), STOPS, ids=[symbol for symbol, _ in STOPS])
def test_stop_exists(symbol: str, link: str) -> None:
    """The file behind each link exists, and the symbol named at the link is defined in it."""
    path = (TOUR.parent / link).resolve()

    assert path.is_relative_to(ROOT)
    assert symbol in set(symbols(ast.parse(path.read_text())))


def test_every_link_names_a_symbol_or_leads_to_a_file() -> None:
    """There is no link that the test above does not see, except to pictures and documents that exist."""
    others = [link for text, link in re.findall(r"\[([^]]*)\]\(([^)]+)\)", TEXT) if not re.fullmatch(r"`[\w.]+`", text)]

    assert len(STOPS) > 20
    assert [link for link in others if not (TOUR.parent / link).exists()] == []


def test_layers_are_those_of_main_in_order() -> None:
    """The tour lists every layer of main.py, in main.py's order."""
    listed = re.findall(r"^\d+\. \[`(\w+)`\]", TEXT, re.MULTILINE)

    assert listed == layers_of(MAIN)


def test_every_transaction_of_the_tour_begins_and_ends() -> None:
    """The words that mark the borders of a transaction come in pairs, and the tour stays short."""
    borders = re.findall(r"\*\*(A transaction begins|It ends)\*\*", TEXT)

    assert borders == ["A transaction begins", "It ends"] * 4
    assert len(TEXT.splitlines()) <= 120
