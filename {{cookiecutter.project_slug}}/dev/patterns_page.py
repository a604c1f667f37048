"""Writes docs/patterns.md from the cards: the first lines of each pattern. `make patterns` runs it."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.environment import ROOT

PAGE = ROOT / "docs" / "patterns.md"
PATTERNS = ROOT / "src" / "app" / "patterns"
FIELDS = ("Use when", "Not when", "Costs", "Fails", "Copy", "Origin")
_FIELD = re.compile(rf"^({'|'.join(FIELDS)}):\s+(.*(?:\n .*)*)", re.MULTILINE)
_HEAD = """# Patterns

Written by `make patterns` from the first lines of each pattern; change them there.
To take one into another repository, copy what its last but one line lists.
"""


@dataclass(frozen=True, slots=True)
class Card:
    """What a pattern says of itself."""

    name: str
    path: str
    title: str
    sentence: str
    fields: dict[str, str]


def read_cards() -> list[Card]:
    """Return the card of each pattern, by name."""
    found = [path for path in PATTERNS.glob("*.py") if path.name != "__init__.py"]
    return sorted(map(read_card, [*found, *PATTERNS.glob("*/__init__.py")]), key=lambda card: card.name)


def read_card(module: Path) -> Card:
    """Return the card at the beginning of `module`.

    Raises:
        ValueError: it has none, or fields are missing, empty or out of order.
    """
    text = ast.get_docstring(ast.parse(module.read_text())) or ""
    title, colon, sentence = text.partition("\n")[0].partition(": ")
    fields = {name: " ".join(value.split()) for name, value in _FIELD.findall(text)}
    if not colon or tuple(fields) != FIELDS or not all(fields.values()):
        raise ValueError(f"{module}: a card has a title with a sentence, and then {', '.join(FIELDS)}")
    place = module.parent if module.name == "__init__.py" else module
    return Card(place.stem, str(place.relative_to(ROOT)), title, sentence, fields)


def page(cards: Iterable[Card]) -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *map(_section, cards)])


def _section(card: Card) -> str:
    rows = "\n".join(f"- **{name}**: {value}" for name, value in card.fields.items())
    return f"## {card.title}\n\n[`{card.name}`](../{card.path}): {card.sentence}\n\n{rows}\n"


if __name__ == "__main__":
    PAGE.write_text(page(read_cards()))
    print(f"wrote {PAGE.relative_to(ROOT)}")
