"""An exception as data: bounded in every direction, and without the values of local variables."""

import traceback
from types import TracebackType
from typing import Any

_MAX_FRAMES = 25  # a RecursionError has a thousand
_MAX_MESSAGE = 1_000  # some messages quote the whole input
_MAX_DEPTH = 3  # of causes and groups
_MAX_GROUP = 5


def describe(exc: BaseException, depth: int = _MAX_DEPTH) -> dict[str, Any]:
    """Return type, message and frames, the innermost last, and the same of what caused it."""
    cls = type(exc)
    described: dict[str, Any] = {
        "type": cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}",
        "message": _message(exc),
        "frames": _frames(exc.__traceback__),
    }
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if cause is not None and depth > 0:
        described["cause"] = describe(cause, depth - 1)
    if isinstance(exc, BaseExceptionGroup) and depth > 0:
        described["exceptions"] = [describe(inner, depth - 1) for inner in exc.exceptions[:_MAX_GROUP]]
    return described


def as_text(described: dict[str, Any]) -> str:
    """Return what `describe` made as lines for a person."""
    lines = [f"  {frame['module']}:{frame['line']} in {frame['function']}" for frame in described["frames"]]
    lines.append(f"{described['type']}: {described['message']}")
    if "cause" in described:
        lines = [as_text(described["cause"]), "which led to", *lines]
    return "\n".join([*lines, *(as_text(inner) for inner in described.get("exceptions", ()))])


def _message(exc: BaseException) -> str:
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the exception itself
        return "<no message: __str__ failed>"
    return message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "…"


def _frames(tb: TracebackType | None) -> list[dict[str, Any]]:
    frames = list(traceback.walk_tb(tb))[-_MAX_FRAMES:]
    return [
        {
            "module": frame.f_globals.get("__name__", frame.f_code.co_filename),
            "line": line,
            "function": frame.f_code.co_qualname,
        }
        for frame, line in frames
    ]
