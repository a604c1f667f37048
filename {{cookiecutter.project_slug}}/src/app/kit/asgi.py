"""The few words of ASGI that several layers share."""

from collections import defaultdict
from collections.abc import Awaitable, Sequence

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
"""What the semantic conventions of OpenTelemetry call a method that nobody knows."""
_EXCHANGE = "exchange"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def method(scope: Scope) -> str:
    """Return the request method, or `OTHER_METHOD`: safe as a label, since it is never text that the client chose."""
    sent: str = scope["method"]
    return sent if sent in _METHODS else OTHER_METHOD


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of the header `name` (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


class Exchange:
    """What passes between client and application, observed once for all layers that want to know.

    Wrapping `send` costs more than most layers do with what they see. So the outermost layer that asks wraps, and the
    others read.
    """

    __slots__ = ("_receive", "_send", "complete", "disconnected", "headers", "request_bytes", "response_bytes", "status")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.status: int | None = None
        """None until the response begins."""
        self.complete = False
        self.disconnected = False
        """The client left before its answer was complete, as far as anybody asked."""
        self.request_bytes = 0
        self.response_bytes = 0
        self.headers: list[tuple[bytes, bytes]] = []
        """Added to those of the application when the response begins."""

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.request_bytes += len(message.get("body", b""))
        elif not self.complete:  # servers also report a disconnect after a complete response: that one is no news
            self.disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.headers:
                message["headers"] = [*message.get("headers", ()), *self.headers]
        elif message["type"] == "http.response.body":
            self.response_bytes += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        return self._send(message)


def observe(scope: Scope, receive: Receive, send: Send) -> tuple[Exchange, Receive, Send]:
    """Return the exchange of this request, and what to call the next layer with."""
    exchange: Exchange | None = scope.get(_EXCHANGE)
    if exchange is not None:
        return exchange, receive, send
    exchange = scope[_EXCHANGE] = Exchange(receive, send)
    return exchange, exchange.receive, exchange.send


class RouteTemplates:
    """Names the route that answered a request by its template, such as `/v1/orders/{order_id}`.

    FastAPI >= 0.137 keeps included routers as nodes, so `scope["route"].path` lacks the include prefix and `/v1/x` and
    `/v2/x` would look the same. The public `iter_route_contexts` knows the full path of every inclusion.
    """

    def __init__(self) -> None:
        self._by_endpoint: dict[object, list[RouteContext]] | None = None

    def __call__(self, scope: Scope) -> str:
        """Return the template, or `UNMATCHED` when no route answered: never text that the client chose."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
        if self._by_endpoint is None:
            self._by_endpoint = _contexts_by_endpoint(scope["app"].routes)
        contexts = self._by_endpoint.get(endpoint, [])
        if len(contexts) == 1:
            return contexts[0].path_format or UNMATCHED
        # One router included twice, under two prefixes: the path tells which inclusion answered.
        for context in contexts:
            if context.path_regex.match(scope["path"]):
                return context.path_format or UNMATCHED
        return UNMATCHED


def _contexts_by_endpoint(routes: Sequence[BaseRoute]) -> dict[object, list[RouteContext]]:
    by_endpoint = defaultdict(list)
    for context in iter_route_contexts(routes):
        by_endpoint[context.endpoint].append(context)
    return dict(by_endpoint)
