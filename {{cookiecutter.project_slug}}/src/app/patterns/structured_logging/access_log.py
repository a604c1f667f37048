"""The canonical log line: all that is worth knowing about one request, once, when it is over."""

import logging
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi

from .lines import installed


class AccessLog:
    """ASGI layer: writes exactly one line `http.request` per request.

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
        fields: dict[str, Any] = {
            "method": asgi.method(scope),
            "route": self._route_of(scope),
            "status": exchange.status,
            "duration_ms": round(exchange.seconds() * 1000, 2),
            "request_bytes": exchange.request_bytes,
            "response_bytes": exchange.response_bytes,
        }
        if exchange.disconnected:
            fields["client_disconnected"] = True
        if exchange.error_code is not None:
            fields["error_code"] = exchange.error_code
            crash = crash or exchange.failure
        # Past structlog, on purpose: on this one hot line, its machinery costs as much as all the rest of the line.
        lines = installed()
        if crash is not None or exchange.failed:
            lines.write(lines.line("error", "http", "http.request", {"exc_info": crash, **fields}))
        elif lines.level <= logging.INFO:
            lines.write(lines.line("info", "http", "http.request", fields))
