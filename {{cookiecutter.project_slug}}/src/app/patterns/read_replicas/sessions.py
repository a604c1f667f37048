"""A caller's own writes: how far a server has to be before it may answer that caller."""

import re
from collections.abc import Awaitable
from contextvars import ContextVar
from http import HTTPMethod

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import asgi
from app.kit.db import DatabaseUnavailable

HEADER = b"x-read-after"
_SAFE = {HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS}
_POSITION = re.compile(rb"[0-9a-f]{16}")
_UNREACHABLE = 2**63
_required: ContextVar[int] = ContextVar("required_position", default=0)
_log = structlog.get_logger(__name__)


def required_position() -> int:
    """Return the position that a server must have replayed to answer the request in hand."""
    return _required.get()


class ReadYourWrites:
    """ASGI layer: answers to writes carry a position in `x-read-after`; a read that sends it back sees that write.

    The application's `state.reads` is a `ReadReplicas`. A token that is none asks for the primary: that is never wrong.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if scope["method"] in _SAFE:
            token = asgi.header(scope, HEADER)
            return self._app(scope, receive, send) if token is None else self._read(token, scope, receive, send)
        return self._app(scope, receive, _Marking(scope, send))

    async def _read(self, token: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        set_before = _required.set(int(token, 16) if _POSITION.fullmatch(token) else _UNREACHABLE)
        try:
            await self._app(scope, receive, send)
        finally:
            _required.reset(set_before)


class _Marking:
    """Adds the position to an answer before it begins."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._reads = scope["app"].state.reads
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < asgi.SERVER_ERROR:
            try:
                position = await self._reads.position()
            except DatabaseUnavailable:
                # The write is committed, and its answer must not be lost for want of a token.
                _log.warning("read_replicas.position_unknown")
            else:
                message["headers"] = [*message.get("headers", ()), (HEADER, f"{position:016x}".encode())]
        await self._send(message)
