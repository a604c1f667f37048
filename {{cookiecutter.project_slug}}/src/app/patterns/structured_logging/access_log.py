"""The canonical log line: all that is worth knowing about one request, once, when it is over."""

import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi, context

from .lines import Lines, installed
from .values import error_code, plain

_EVENT = "http.request"


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
        exchange, receive, send = asgi.exchange(scope, receive, send)
        crash: Exception | None = None
        try:
            await self._app(scope, receive, send)
        except Exception as exc:
            crash = exc  # after the response had begun: the server cuts the connection
            raise
        finally:
            self._write(scope, exchange, crash)

    def _write(self, scope: Scope, exchange: asgi.Exchange, crash: Exception | None) -> None:
        seconds = time.perf_counter() - exchange.begun
        route = self._route_of(scope)
        crash = crash or exchange.failure
        # Past structlog, on purpose: on this one hot line, its machinery costs as much as all the rest of the line.
        lines = installed()
        level, ratio = "info", 1.0
        if crash is not None or exchange.status >= asgi.SERVER_ERROR:
            level = "error"
        elif lines.level > logging.INFO:
            return
        elif lines.sampling.drops or exchange.status >= asgi.CLIENT_ERROR:
            ratio = _share(lines, route, exchange, seconds)
            if not ratio:
                return
        work = context.current()
        line = lines.head(level, "http", _EVENT, work)
        if exchange.error_code is not None:
            line["error_code"] = error_code(exchange.error_code)
        line["method"] = exchange.method
        line["route"] = route
        line["status"] = exchange.status
        line["duration_ms"] = int(seconds * 100_000) / 100  # cut to hundredths; `round` costs twice as much
        line["request_bytes"] = exchange.request_bytes
        line["response_bytes"] = exchange.response_bytes
        if exchange.disconnected:
            line["client_disconnected"] = True
        if ratio < 1:
            line["sample_ratio"] = ratio
        if work.used is not None:
            _add_tally(line, work.used)
        lines.write(line, crash)


def _share(lines: Lines, route: str, exchange: asgi.Exchange, seconds: float) -> float:
    """Return the share of such requests whose lines are kept, or 0 when this one's is not."""
    if exchange.status >= asgi.CLIENT_ERROR and seconds < lines.sampling.slow_seconds:
        return float(lines.admits(_EVENT))  # by a rate, not a ratio: anybody can cause as many of these as he likes
    share = lines.sampling.share(exchange.method, route, seconds)
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
    if tally.idempotency:
        line["idempotency"] = tally.idempotency
    if tally.flags:
        line["flags"] = plain(tally.flags)


def _milliseconds(seconds: float) -> float:
    """Return milliseconds, cut to hundredths; `round` costs twice as much."""
    return int(seconds * 100_000) / 100
