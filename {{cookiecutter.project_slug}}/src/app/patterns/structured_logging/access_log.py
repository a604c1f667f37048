"""The canonical log line: all that is worth knowing about one request, once, when it is over."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import asgi
from app.kit.problems import SCOPE_KEY, Problem

from .lines import installed

_SERVER_ERROR = 500


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
        fields: dict[str, Any] = {
            "method": asgi.method(scope),
            "route": self._route_of(scope),
            "status": exchange.status,
            "duration_ms": round((time.perf_counter() - exchange.begun) * 1000, 2),
            "request_bytes": exchange.request_bytes,
            "response_bytes": exchange.response_bytes,
        }
        if exchange.disconnected:
            fields["client_disconnected"] = True
        problem: Problem | None = scope.get(SCOPE_KEY)
        if problem is not None:
            fields["error_code"] = problem.code
            crash = crash or problem.cause
        # Past structlog, on purpose: on this one hot line, its machinery costs as much as all the rest of the line.
        lines = installed()
        if crash is not None or exchange.status >= _SERVER_ERROR:
            lines.write(lines.line("error", "http", "http.request", {"exc_info": crash, **fields}))
        elif lines.level <= logging.INFO:
            lines.write(lines.line("info", "http", "http.request", fields))


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
        self.status = _SERVER_ERROR  # what the server answers when the application fails without an answer
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
