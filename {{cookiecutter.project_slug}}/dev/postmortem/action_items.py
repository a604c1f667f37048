"""What is to be done after an incident gets done if it has an owner and a date."""

import re
from collections.abc import Iterator
from datetime import date

_COLUMNS = ("action", "owner", "due")
_NOBODY = {"", "-", "?", "nobody", "tbd", "todo", "everybody"}


def mistakes(postmortem: str) -> list[str]:
    """Return what is wrong with the action items of a postmortem in Markdown, each with its line."""
    found = list(_rows(postmortem))
    if not found:
        return [f"1: no table of action items, with the columns {', '.join(_COLUMNS)}"]
    return [f"{number}: {why}" for number, row in found for why in _wrong(row)]


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row of each table that has the columns, with its line; a head alone is a row without cells."""
    head: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        if not cells or set("".join(cells)) <= set("-: "):
            head = head if cells else []
        elif head:
            yield number, dict(zip(head, cells, strict=False))
        elif set(_COLUMNS) <= {cell.lower() for cell in cells}:
            head = [cell.lower() for cell in cells]
            yield number, {}


def _wrong(row: dict[str, str]) -> Iterator[str]:
    if not row:
        return
    if row["action"].lower() in _NOBODY:
        yield "no action"
    owner = row.get("owner", "")
    if owner.lower() in _NOBODY or re.search(r"[<>]", owner):
        yield f"{row['action']}: no owner"
    try:
        date.fromisoformat(row.get("due", ""))
    except ValueError:
        yield f"{row['action']}: no due date, such as 2026-03-31"
