"""Request id: one name for one piece of work, in every process that touches it.

Use when: somebody will ask "what happened to my call?" and hold a response header in hand.
Not when: only machines need to connect the pieces - the trace id does that already.
Costs:    about 5 microseconds a request, and a header of 46 bytes on each response.
Fails:    an id from outside that is no UUID and no ULID is replaced, silently: the response says which one counts.
Copy:     this file, kit/asgi.py, kit/context.py, kit/ids.py.
Origin:   the correlation identifier of "Enterprise Integration Patterns" (Hohpe, Woolf, 2003).
"""

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi, context, ids

HEADER = "x-request-id"
_HEADER_BYTES = HEADER.encode()


class RequestId:
    """ASGI layer: binds a fresh `kit.context.Context` that carries the id, and echoes the id in the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = asgi.header(scope, _HEADER_BYTES)
        # The id is echoed, logged and sent on, so it must not be text that somebody chose: a name, a card, a password.
        request_id = ids.random_hex() if sent is None or not ids.is_id(sent.decode("latin-1")) else sent.decode()
        exchange, receive, send = asgi.exchange(scope, receive, send)
        exchange.headers += ((_HEADER_BYTES, request_id.encode()),)
        token = context.current_context.set(context.Context(request_id))
        try:
            await self._app(scope, receive, send)
        finally:
            context.current_context.reset(token)


async def add_request_id(request: httpx.Request) -> None:
    """Pass the id on to the service that is called: `AsyncClient(event_hooks={"request": [add_request_id]})`."""
    request_id = context.current().request_id
    if request_id and HEADER not in request.headers:
        request.headers[HEADER] = request_id
