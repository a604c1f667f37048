"""The canonical log line: all that is worth knowing about one request, once, when it is over."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import asgi, context
from app.kit.problems import SCOPE_KEY, Problem

from .lines import Lines, installed
from .values import error_code, plain

_EVENT = "http.request"
_REFUSED = 400
_FAILED = 500


class AccessLog:
    """ASGI layer: writes exactly one line `http.request` per request, unless it was told to keep fewer.

    No text that the client chose is in it - no path, query or user agent - except the well-formed request id.
    """

    def __init__(self, app: ASGIApp, *, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        crash: Exception | None = None
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as exc:
            crash = exc  # after the response had begun: the server cuts the connection
            raise
        finally:
            self._write(scope, exchange, crash)

    def _write(self, scope: Scope, exchange: "_Exchange", crash: Exception | None) -> None:
        seconds = time.perf_counter() - exchange.begun
        method, route = asgi.method(scope), self._route_of(scope)
        problem: Problem | None = scope.get(SCOPE_KEY)
        if problem is not None and crash is None:
            crash = problem.cause
        # Past structlog, on purpose: on this one hot line, its machinery costs as much as all the rest of the line.
        lines = installed()
        ratio = 1.0
        if crash is not None or exchange.status >= _FAILED:
            level = "error"
        elif lines.level > logging.INFO:
            return
        else:
            level = "info"
            ratio = _share(lines, method, route, exchange.status, seconds)
            if not ratio:
                return
        work = context.current()
        line = lines.head(level, "http", _EVENT, work)
        if problem is not None:
            line["error_code"] = error_code(problem.code)
        line["method"] = method
        line["route"] = route
        line["status"] = exchange.status
        line["duration_ms"] = _milliseconds(seconds)
        line["request_bytes"] = exchange.request_bytes
        line["response_bytes"] = exchange.response_bytes
        if exchange.disconnected:
            line["client_disconnected"] = True
        if ratio < 1:
            line["sample_ratio"] = ratio
        _add_tally(line, work.tally)
        lines.write(line, crash)


def _share(lines: Lines, method: str, route: str, status: int, seconds: float) -> float:
    """Return the share of such requests whose lines are kept, or 0 when this one's is not."""
    if status >= _REFUSED and seconds < lines.sampling.slow_seconds:
        return float(lines.admits(_EVENT))  # by a rate, not a ratio: anybody can cause as many of these as he likes
    share = lines.sampling.share(method, route, seconds)
    if not share:
        lines.drop(_EVENT, "sampled_out")
    return share


def _add_tally(line: dict[str, Any], tally: context.Tally) -> None:
    """Tell what the request has used; what it has not used is left out, a fifth of the line."""
    if tally.db_queries:
        line["db_queries"] = tally.db_queries
        line["db_ms"] = _milliseconds(tally.db_seconds)
    if tally.http_calls:
        line["http_calls"] = tally.http_calls
        line["http_ms"] = _milliseconds(tally.http_seconds)
    if tally.retries:
        line["retries"] = tally.retries
    if tally.refused_by:
        line["refused_by"] = tally.refused_by
    if tally.flags:
        line["flags"] = plain(tally.flags)


def _milliseconds(seconds: float) -> float:
    """Return milliseconds, cut to hundredths; `round` costs twice as much."""
    return int(seconds * 100_000) / 100


class _Exchange:
    """What passes between client and application, counted."""

    __slots__ = (
        "_complete", "_receive", "_send", "begun", "disconnected", "request_bytes", "response_bytes", "status",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._complete = False
        self.begun = time.perf_counter()
        self.status = _FAILED  # what the server answers when the application fails without an answer
        self.request_bytes = 0
        self.response_bytes = 0
        self.disconnected = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.request_bytes += len(message.get("body", b""))
        elif not self._complete:  # servers also report a disconnect after a complete response: that one is no news
            self.disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.response_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        return self._send(message)
