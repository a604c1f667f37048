"""The one place where lines are made and written, whoever has something to say."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from app.kit import context
from app.kit.errors import AppError
from app.kit.spans import current_span_context

from .exceptions import describe, found_in
from .limits import RequestSampling, TokenBuckets
from .output import standard_output, write_rest
from .rendering import renderer
from .settings import LoggingSettings
from .values import SECRET, error_code, field, identity, is_event, library_event, message, plain
from .volume import VOLUME, Volume

_MILLISECONDS = tuple(f".{number:03}Z" for number in range(1000))
_ALWAYS = frozenset({"error", "critical"})
_MAX_FIELDS = 50
_MAX_ID = 128


class Lines:
    """Makes lines, each with the fields that all have in common, and writes each in one piece."""

    def __init__(
        self,
        stream: BinaryIO,
        settings: LoggingSettings,
        *,
        service: str | None,
        env: str | None,
        version: str | None,
        volume: Volume = VOLUME,
    ) -> None:
        self.level = logging.getLevelNamesMapping()[settings.level.upper()]
        """Of the standard library; what is below is for the caller to drop."""
        self.sampling = RequestSampling(settings)
        self._stream = stream
        self._render = renderer(settings.format)
        self._service, self._env, self._version = service, env, version
        self._second = (0, "")
        self._buckets = TokenBuckets(settings)
        self._volume = volume
        self._summary_seconds = settings.summary_seconds
        self._summary: threading.Timer | None = None
        # Reentrant: what runs while a line is written, such as a finalizer, may have something to say itself.
        self._lock = threading.RLock()

    def log(self, level: str, module: str, event: object, fields: Mapping[str, object]) -> None:
        """Write a line unless its event is too loud; `exc_info` among the fields becomes `exception`."""
        name = event if is_event(event) else library_event(module)
        if level not in _ALWAYS and not self.admits(name):
            return
        line = self.head(level, module, name, context.current())
        if name is not event:
            line["message"] = message(event)
        for key, value in islice(fields.items(), _MAX_FIELDS):
            if key == "error_code":
                line["error_code"] = error_code(value)
            elif key != "exc_info":
                name, hidden = field(key)
                # A line must not be able to lie about where it comes from: a clashing name is renamed.
                while name in line or name in _LAST:
                    name += "_"
                line[name] = SECRET if hidden else plain(value)
        self.write(line, found_in(fields.get("exc_info")))

    def head(self, level: str, module: str, event: str, work: context.Context) -> dict[str, Any]:
        """Return the fields that every line has, in their order."""
        span = current_span_context()
        trace_id = span.trace_id
        return {
            "timestamp": self._timestamp(),
            "level": level,
            "service": self._service,
            "env": self._env,
            "version": self._version,
            "event": event,
            "request_id": work.request_id[:_MAX_ID] or None,
            "trace_id": trace_id.to_bytes(16).hex() if trace_id else None,  # a third of the price of formatting
            "span_id": span.span_id.to_bytes(8).hex() if trace_id else None,
            "tenant": identity(work.tenant) if work.tenant else None,
            "actor": identity(work.actor) if work.actor else None,
            "module": module[:_MAX_ID],
            "error_code": None,
        }

    def write(self, line: dict[str, Any], exc: BaseException | None = None) -> None:
        """Write a line that began with `head`, whose further fields are small, plain and without secrets."""
        if exc is not None:
            line["exception"] = describe(exc)
            if line["error_code"] is None and isinstance(exc, AppError):
                line["error_code"] = error_code(exc.code)
        data = self._render(line)
        self._lock.acquire()  # what several threads write does not mix; `with` costs twice as much
        try:
            written = self._stream.write(data)
            if written != len(data):
                write_rest(self._stream, data, written)
            self._volume.count(line["event"], len(data))
        except (OSError, ValueError):  # nobody reads any more, the disk is full, the stream is closed
            self._volume.drop(line["event"], "unwritable")
        finally:
            self._lock.release()

    def admits(self, event: str) -> bool:
        """Tell whether a line of `event` is within its rate; one that is not is counted as dropped."""
        with self._lock:
            admitted = self._buckets.take(self._volume.name(event))
        if not admitted:
            self.drop(event, "rate_limited")
        return admitted

    def drop(self, event: str, reason: str) -> None:
        """Count a line that is not written, and see to it that a summary tells of it."""
        with self._lock:
            self._volume.drop(event, reason)
            if self._summary is None:
                self._summary = threading.Timer(self._summary_seconds, self.summarise)
                self._summary.daemon = True
                with suppress(RuntimeError):  # the process ends: too late for a thread
                    self._summary.start()

    def summarise(self) -> None:
        """Write how many lines of which events were dropped since the last summary, if any were."""
        with self._lock:
            if self._summary is not None:
                self._summary.cancel()
                self._summary = None
            dropped = self._volume.take_untold()
        if dropped:
            line = self.head("warning", __name__, "logging.lines_dropped", context.Context())
            self.write(line | {"total": sum(dropped.values()), "dropped": dict(islice(dropped.items(), _MAX_FIELDS))})

    def _timestamp(self) -> str:
        """Return the time as RFC 3339 in UTC with milliseconds; all but those is formatted once a second."""
        second, millisecond = divmod(time.time_ns() // 1_000_000, 1000)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)  # one assignment, so that threads never see halves
        return text + _MILLISECONDS[millisecond]


_LAST = frozenset({"exception", "truncated"})  # what may be added to a line at its end
_installed: list[Lines] = []  # a logger in all but name: one per process, as the root logger is


def install(lines: Lines | None) -> None:
    """Make `lines` what everything writes to, also the loggers that exist already; None takes them away."""
    for before in _installed:
        before.summarise()
    _installed[:] = [lines] if lines else []


def installed() -> Lines:
    """Return what to write to: before `configure`, JSON without an identity to standard output."""
    if not _installed:
        install(Lines(standard_output(), LoggingSettings(), service=None, env=None, version=None))
    return _installed[0]
