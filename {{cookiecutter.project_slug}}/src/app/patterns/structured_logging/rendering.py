"""A line as bytes: JSON for machines, text for a person at a terminal."""

import sys
from collections.abc import Callable
from typing import Any, Literal

import orjson
from structlog.dev import ConsoleRenderer

from .exceptions import as_text
from .values import text

Render = Callable[[dict[str, Any]], bytes]
MAX_LINE = 16_384  # bytes: container runtimes split what is longer, and half a line is no JSON
_SMALL = 150  # bytes of a field that stays in a line which is too long
_LAST_FRAMES = 5


def renderer(format_: Literal["json", "console"]) -> Render:
    """Return what turns a line into bytes, with its newline."""
    if format_ == "json":
        return _as_json
    pretty = ConsoleRenderer(colors=sys.stdout.isatty())

    def as_console(line: dict[str, Any]) -> bytes:
        for name in ("service", "env", "version"):  # the person knows what they have started
            line.pop(name)
        shown = {name: value for name, value in line.items() if value is not None}
        if "exception" in shown:
            shown["exception"] = as_text(shown["exception"])
        return f"{pretty(None, '', shown)}\n".encode(errors="backslashreplace")

    return as_console


def _as_json(line: dict[str, Any]) -> bytes:
    try:
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate in an id or a name
        line = {name: text(value) if isinstance(value, str) else value for name, value in line.items()}
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    return data if len(data) <= MAX_LINE else orjson.dumps(_cut(line), option=orjson.OPT_APPEND_NEWLINE)


def _cut(line: dict[str, Any]) -> dict[str, Any]:
    """Return `line` without its large fields; of an exception, the end of the stack stays."""
    cut = {name: value for name, value in line.items() if len(orjson.dumps(value)) <= _SMALL}
    if "exception" in line:
        exception = line["exception"]
        cut["exception"] = {
            "type": exception["type"],
            "message": text(exception["message"], _SMALL),
            "frames": exception["frames"][-_LAST_FRAMES:],
        }
    return cut | {"truncated": True}
