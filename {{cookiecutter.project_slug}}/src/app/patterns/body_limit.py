"""Body limit: refuse a request body that is too large before it fills the memory.

Use when: anything reads request bodies whole, as every JSON API does.
Not when: clients upload files - let them upload to object storage with a signed address.
Costs:    under a microsecond a request; one addition per chunk.
Fails:    closed: an announced length over the limit is refused unread, and a chunked body at the first byte too many.
Copy:     this file, kit/asgi.py, kit/errors.py; map `BodyTooLarge` to 413 where errors become responses.
Origin:   CWE-770, allocation of resources without limits; RFC 9110, section 15.5.14.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.asgi import header
from app.kit.errors import Invalid


class BodyTooLarge(Invalid):
    """The request body is larger than this service takes."""

    code = "body_too_large"
    title = "Body too large"


class BodyLimit:
    """ASGI layer: raises `BodyTooLarge` for a body over `max_bytes`, whatever the application makes of it."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        announced = header(scope, b"content-length")
        if announced is not None:
            # A length that is no number never gets here, nor more bytes than announced: the HTTP parser sees to it.
            if int(announced) > self._max_bytes:
                raise self._too_large()
            return self._app(scope, receive, send)
        if header(scope, b"transfer-encoding") is None and scope["http_version"].startswith("1"):
            return self._app(scope, receive, send)  # RFC 9112, section 6.3: there is no body
        return self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        refused: BodyTooLarge | None = None
        started = False

        async def count() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                refused = self._too_large()
                raise refused
            return message

        async def guard(message: Message) -> None:
            nonlocal started
            # FastAPI takes an error while it reads the body for a malformed body. Where it answers that by itself, the
            # answer is dropped: raising here instead would be an error in the middle of a response to Starlette.
            if refused and not started:
                return
            started = True
            await send(message)

        try:
            await self._app(scope, count, guard)
        except Exception:
            if not refused or started:
                raise
        if refused and not started:
            raise refused

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"A request body may have at most {self._max_bytes} bytes.")
