"""docs/logs.md says what the schema, the code and the settings say."""

import ast
import re
from typing import Any

import pytest

from app.patterns.structured_logging import LoggingSettings
from dev.environment import ROOT
from tests.support.log_lines import SCHEMA
from tests.support.source import called_name, modules, parsed

PAGE = (ROOT / "docs" / "logs.md").read_text()
REQUEST = SCHEMA["$defs"]["http_request"]["then"]["properties"]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log", "head"}
EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+")
STREAMS = {"all", "app"}


def rows(*header: str) -> list[list[str]]:
    """Return the cells of each table of the page with this header."""
    top = re.escape(f"| {' | '.join(header)} |")
    tables = re.findall(rf"^{top}\n\|[-| ]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for table in tables for row in table.splitlines()]


def type_of(schema: dict[str, Any]) -> str:
    """Return the type of a field in words."""
    if "enum" in schema:
        return "string"
    if "const" in schema:
        return "boolean"
    types = schema.get("type", "object")
    return types if isinstance(types, str) else " or ".join(types)


def test_every_field_is_explained() -> None:
    """Name, type and meaning of each field are those of the schema, in its order, and each has its streams."""
    fields = {**SCHEMA["properties"], **REQUEST}
    explained = rows("field", "type", "meaning", "streams")

    assert [row[:3] for row in explained] == [
        [f"`{name}`", type_of(field), field["description"]] for name, field in fields.items()
    ]
    assert {row[3] for row in explained} == STREAMS


def test_every_event_is_explained() -> None:
    """The events of the page are those that the code logs, in alphabetical order."""
    listed = [row[0].strip("`") for row in rows("event", "level", "when")]

    assert listed == sorted(logged())
    assert len(listed) > 30


@pytest.mark.parametrize("stream", ["app", "security", "audit"])
def test_every_stream_has_its_readers(stream: str) -> None:
    """Each stream is read by somebody, and not by everybody."""
    (row,) = [
        row for row in rows("stream", "events", "developer", "on-call", "auditor", "security") if row[0] == stream
    ]

    assert set(row[2:]) == {"yes", "no"}


def test_every_setting_is_explained() -> None:
    """Variable, default and meaning are those of the settings."""
    settings = LoggingSettings.model_fields

    assert rows("variable", "default", "meaning") == [
        [f"`APP_LOGGING__{name.upper()}`", "none" if field.default is None else f"`{field.default}`", field.description]
        for name, field in settings.items()
    ]


def logged() -> set[str]:
    """Return the names of events in calls that log, and in variables that hold an event."""
    found = set()
    for path in modules("src", "migrations"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and called_name(node) in LEVELS:
                found |= {event for argument in node.args for event in _events_in(argument)}
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"event", "_EVENT"}:
                found |= _events_in(node.value)
    return found


def _events_in(node: ast.expr) -> set[str]:
    texts = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and EVENT.fullmatch(text)}
