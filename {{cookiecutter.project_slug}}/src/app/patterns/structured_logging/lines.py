"""The shape of a log line, shared by structlog and the standard library."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Literal

import orjson
from opentelemetry import trace
from structlog.dev import ConsoleRenderer

from app.kit import context

from .exceptions import as_text, describe

_MAX_TEXT = 4_000  # of an event that a library wrote, or of a value that had to be shown by its repr
_RESERVED = frozenset({"timestamp", "level", "service", "env", "version", "event", "logger", "exception"}) | {
    "request_id",
    "tenant",
    "actor",
    "trace_id",
    "span_id",
}


class Lines:
    """Renders log lines and writes them."""

    def __init__(
        self, stream: BinaryIO, render: Callable[[dict[str, Any]], bytes], level: int, **identity: str
    ) -> None:
        self.level = level
        """Of the standard library; what is below is for the caller to drop."""
        self._stream = stream
        self._render = render
        self._identity = identity
        self._second = (0, "")

    def line(self, level: str, logger: str, event: object, fields: Mapping[str, Any]) -> bytes:
        """Return one line without its newline; `exc_info` among the fields becomes `exception`."""
        # A line must not be able to lie about where it comes from: clashing names are renamed, not overwritten.
        if not _RESERVED.isdisjoint(fields):
            fields = {f"{name}_" if name in _RESERVED else name: value for name, value in fields.items()}
        line: dict[str, Any] = {
            "timestamp": self._timestamp(),
            "level": level,
            **self._identity,
            "event": event if isinstance(event, str) and len(event) <= _MAX_TEXT else _bounded(event),
            "logger": logger,
        }
        _add_context(line)
        line.update(fields)
        if "exc_info" in line:
            _replace_exc_info(line)
        return self._render(line)

    def _timestamp(self) -> str:
        """Return the time as RFC 3339 in UTC with milliseconds; all but those is formatted once a second."""
        now = time.time()
        second, text = self._second
        if int(now) != second:
            second = int(now)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)  # one assignment, so that threads never see halves
        return f"{text}.{int((now - second) * 1000):03}Z"

    def write(self, line: bytes) -> None:
        """Write one line in one piece: what several threads write does not mix."""
        self._stream.write(line + b"\n")
        self._stream.flush()


_installed: list[Lines] = []  # a logger in all but name: one per process, as the root logger is


def install(lines: Lines | None) -> None:
    """Make `lines` what everything writes to, also the loggers that exist already; None takes them away."""
    _installed[:] = [lines] if lines else []


def installed() -> Lines:
    """Return what to write to: before `configure`, JSON without an identity to standard output."""
    if not _installed:
        install(Lines(sys.stdout.buffer, _as_json, logging.INFO))
    return _installed[0]


def renderer(format_: Literal["json", "console"]) -> Callable[[dict[str, Any]], bytes]:
    """Return what turns a line into bytes: for machines, or for a person at a terminal."""
    if format_ == "json":
        return _as_json
    pretty = ConsoleRenderer(colors=sys.stdout.isatty())

    def as_console(line: dict[str, Any]) -> bytes:
        for name in ("service", "env", "version"):  # the person knows what they have started
            line.pop(name, None)
        if "exception" in line:
            line["exception"] = as_text(line["exception"])
        return str(pretty(None, "", line)).encode(errors="backslashreplace")

    return as_console


def _add_context(line: dict[str, Any]) -> None:
    work = context.current()
    if work.request_id:
        line["request_id"] = work.request_id
    if work.tenant:
        line["tenant"] = work.tenant
    if work.actor:
        line["actor"] = work.actor
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        line["trace_id"] = f"{span.trace_id:032x}"
        line["span_id"] = f"{span.span_id:016x}"


def _replace_exc_info(line: dict[str, Any]) -> None:
    found = line.pop("exc_info")
    if isinstance(found, tuple):  # as the standard library passes it
        found = found[1]
    elif found and not isinstance(found, BaseException):  # `exc_info=True`
        found = sys.exception()
    if found:
        line["exception"] = describe(found)


def _as_json(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=_bounded, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    except TypeError:  # a lone surrogate, a huge integer, a cycle: show each value by its repr
        return orjson.dumps({_bounded(name): _bounded(value) for name, value in line.items()})


def _bounded(value: object) -> str:
    """Return a text that can be rendered, whatever `value` is: logging must not raise."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__
        text = f"<{type(value).__qualname__}: __repr__ failed>"
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + "…"
    return text.encode(errors="backslashreplace").decode()
