"""An exception as data: bounded in every direction, redacted, and without the values of local variables."""

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from app.kit.redaction import message_of

from .values import text

MAX_FRAMES = 25  # a RecursionError has a thousand
_MAX_MESSAGE = 1_000  # some messages quote the whole input
_MAX_NAME = 200
_MAX_DEPTH = 3  # of causes and groups
_MAX_GROUP = 5
_MAX_ALL = 8  # a group of groups of groups would have a hundred


def describe(exc: BaseException) -> dict[str, Any]:
    """Return type, message and frames, the innermost last, and the same of what caused it."""
    return _describe(exc, _MAX_DEPTH, iter(range(_MAX_ALL - 1)))


def found_in(exc_info: object) -> BaseException | None:
    """Return the exception that the `exc_info` of a call stands for: itself, a tuple, or True for the current one."""
    if isinstance(exc_info, tuple) and len(exc_info) == 3:  # noqa: PLR2004 - type, value, traceback
        exc_info = exc_info[1]
    elif exc_info is True:
        exc_info = sys.exception()
    return exc_info if isinstance(exc_info, BaseException) else None


def as_text(described: dict[str, Any]) -> str:
    """Return what `describe` made as lines for a person."""
    lines = [f"  {frame['module']}:{frame['line']} in {frame['function']}" for frame in described["frames"]]
    lines.append(f"{described['type']}: {described['message']}")
    if "cause" in described:
        lines = [as_text(described["cause"]), "which led to", *lines]
    return "\n".join([*lines, *(as_text(inner) for inner in described.get("exceptions", ()))])


def _describe(exc: BaseException, depth: int, tickets: Iterator[int]) -> dict[str, Any]:
    """Describe `exc`; every further exception that is shown with it takes a ticket."""
    cls = type(exc)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    described: dict[str, Any] = {
        "type": text(name, _MAX_NAME),
        "message": _message(exc),
        "frames": _frames(exc.__traceback__),
    }
    if depth == 0:
        return described
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if cause is not None and next(tickets, None) is not None:
        described["cause"] = _describe(cause, depth - 1, tickets)
    if isinstance(exc, BaseExceptionGroup):
        inside = zip(exc.exceptions[:_MAX_GROUP], tickets, strict=False)
        described["exceptions"] = [_describe(inner, depth - 1, tickets) for inner, _ in inside]
    return described


def _message(exc: BaseException) -> str:
    return text(message_of(exc), _MAX_MESSAGE)


def _frames(tb: TracebackType | None) -> list[dict[str, Any]]:
    frames = list(traceback.walk_tb(tb))[-MAX_FRAMES:]
    return [
        {
            "module": str(frame.f_globals.get("__name__", frame.f_code.co_filename))[-_MAX_NAME:],
            "line": line,
            "function": frame.f_code.co_qualname[-_MAX_NAME:],
        }
        for frame, line in frames
    ]
