"""The canonical log line: all that is worth knowing about one request, once, when it is over."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi
from app.kit.problems import SCOPE_KEY, Problem

_SERVER_ERROR = 500


class AccessLog:
    """ASGI layer: writes exactly one line `http.request` per request.

    No text that the client chose is in it - no path, query or user agent - except the well-formed request id.
    """

    def __init__(self, app: ASGIApp, *, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._route_of = route_of
        self._log = structlog.get_logger("http").bind()  # bound now: the lazy one costs as much again on each call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        exchange, receive, send = asgi.observe(scope, receive, send)
        crash: Exception | None = None
        try:
            await self._app(scope, receive, send)
        except Exception as exc:
            crash = exc  # after the response had begun: the server cuts the connection
            raise
        finally:
            self._write(scope, exchange, time.perf_counter() - begun, crash)

    def _write(self, scope: Scope, exchange: asgi.Exchange, seconds: float, crash: Exception | None) -> None:
        status = exchange.status or _SERVER_ERROR  # the server's answer when the application fails without one
        fields: dict[str, Any] = {
            "method": asgi.method(scope),
            "route": self._route_of(scope),
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "request_bytes": exchange.request_bytes,
            "response_bytes": exchange.response_bytes,
        }
        if exchange.disconnected:
            fields["client_disconnected"] = True
        problem: Problem | None = scope.get(SCOPE_KEY)
        if problem is not None:
            fields["error_code"] = problem.code
            crash = crash or problem.cause
        if crash is None and status < _SERVER_ERROR:
            self._log.info("http.request", **fields)
        else:
            self._log.error("http.request", exc_info=crash, **fields)
