"""The cards of the patterns are complete and true."""

import ast
import re
from pathlib import Path

import pytest

from dev.environment import ROOT
from dev.patterns_page import PAGE, page, read_card, read_cards
from tests.support.source import APP, modules, name_of, parsed, pattern_name, patterns

MIGRATIONS = {path.stem: path for path in modules("migrations/versions")}
PATTERN = pytest.mark.parametrize("card", patterns(), ids=pattern_name)


@PATTERN
def test_a_pattern_begins_with_its_card(card: Path) -> None:
    """Title, sentence and six fields, none of them empty: `read_card` refuses anything else."""
    read = read_card(card)

    assert read.name == pattern_name(card)
    assert read.sentence.endswith(".")


@PATTERN
def test_the_copy_line_lists_what_the_pattern_needs(card: Path) -> None:
    """`Copy` names the pattern, what it needs of the kit, directly or through another file, and its migration."""
    copy = read_card(card).fields["Copy"]
    files = [*_files(card), *(ROOT / name for name in re.findall(r"`(\S+\.py)`", copy))]

    assert copy.startswith("this folder" if card.name == "__init__.py" else "this file")
    assert sorted(re.findall(r"kit/(\w+(?:\.py)?)", copy)) == sorted(_kit_files_of(files))
    assert set(re.findall(r"migration (\w+)", copy)) == _migrations_of(card)


@PATTERN
def test_a_table_and_its_migration_have_the_patterns_name(card: Path) -> None:
    """A pattern with tables has one migration, named after it; both travel together."""
    declares = any(re.search(r"\bTable\(|__tablename__", path.read_text()) for path in _files(card))
    migrations = [(ROOT / f"migrations/versions/{name}.py").read_text() for name in _migrations_of(card)]

    assert declares == any("CREATE TABLE" in migration for migration in migrations)


def test_the_page_of_patterns_is_up_to_date() -> None:
    """What docs/patterns.md says is what the cards say; `make patterns` writes it."""
    assert PAGE.read_text() == page(read_cards())


def test_the_page_links_to_what_exists() -> None:
    """Each heading leads to the pattern's source."""
    links = re.findall(r"\]\(\.\./([^)]+)\)", PAGE.read_text())

    assert len(links) == len(patterns())
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('"""Just a sentence."""', id="no fields"),
        pytest.param('"""T: s.\n\nUse when: a\nNot when: b\nCosts: c\nFails: d\nCopy: e\n"""', id="Origin missing"),
        pytest.param('"""T: s.\n\nNot when: b\nUse when: a\nCosts: c\nFails: d\nCopy: e\nOrigin: f\n"""', id="order"),
    ],
)
def test_an_incomplete_card_is_refused(tmp_path: Path, text: str) -> None:
    """The reader of cards does not pass over what is missing."""
    module = tmp_path / "pattern.py"
    module.write_text(text)

    with pytest.raises(ValueError, match="a card has a title"):
        read_card(module)


def _files(card: Path) -> list[Path]:
    return sorted(card.parent.rglob("*.py")) if card.name == "__init__.py" else [card]


def _kit_files_of(paths: list[Path]) -> set[str]:
    """Return the names of the kit's files and folders that `paths` import, and of those that these import."""
    found: set[str] = set()
    waiting = list(paths)
    while waiting:
        for name in _imports_from_kit(waiting.pop()) - {Path(known).stem for known in found}:
            folder = APP / "kit" / name
            found.add(name if folder.is_dir() else f"{name}.py")
            waiting += sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return found


def _imports_from_kit(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(parsed(path)):
        match node:
            case ast.ImportFrom(module="app.kit", names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module)) if module.startswith("app.kit."):
                names.add(module.split(".")[2])
            case ast.Import(names=aliases):
                assert [alias.name for alias in aliases if alias.name.startswith("app.kit")] == [], name_of(path)
    return names


def _migrations_of(card: Path) -> set[str]:
    return {stem for stem in MIGRATIONS if stem.partition("_")[2] == pattern_name(card)}
