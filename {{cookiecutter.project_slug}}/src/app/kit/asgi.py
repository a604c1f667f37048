"""The few words of ASGI that several layers share."""

import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
"""What the semantic conventions of OpenTelemetry call a method that nobody knows."""
CLIENT_ERROR = 400
SERVER_ERROR = 500
"""From here on, the answer says that the failure is ours."""
_EXCHANGE = "exchange"
_ROUTE = "route_template"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of the header `name` (lower case), or None."""
    for sent, value in scope["headers"]:
        if sent == name:
            return bytes(value)
    return None


class Exchange:
    """What has passed between client and application in one request: seen once, for all layers that ask.

    Layers that each wrapped `receive` and `send` for themselves would cost twice as much, and would disagree. It holds
    neither of the two: they lead back to the scope, and a cycle in each request is work for the garbage collector.
    """

    begun = 0.0
    """By `time.perf_counter`."""
    method = OTHER_METHOD
    """Safe as a label: never text that the client chose."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Added to the answer when it begins."""
    started = False
    """Whether the answer has begun: after that there can be no other."""
    complete = False
    status = SERVER_ERROR  # what the server answers when the application fails without an answer
    request_bytes = 0
    response_bytes = 0
    disconnected = False
    """Whether the client went away before its answer was complete."""
    trace_id: int | None = None
    """Of the trace that keeps a record of this request, if one does."""
    error_code: str | None = None
    """What the answer says is wrong, if it is a problem document."""
    failure: Exception | None = None
    """The exception behind a failure that is ours."""


def exchange(scope: Scope, receive: Receive, send: Send) -> tuple[Exchange, Receive, Send]:
    """Return the request's exchange, and what to pass inwards: the outermost layer that asks makes it."""
    known: Exchange | None = scope.get(_EXCHANGE)
    if known is not None:
        return known, receive, send
    made = scope[_EXCHANGE] = Exchange()
    made.begun = time.perf_counter()
    method = scope["method"]
    if method in METHODS:
        made.method = method

    async def watched_receive() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            made.request_bytes += len(message.get("body", b""))
        elif not made.complete:  # servers also report a disconnect after a complete answer: that one is no news
            made.disconnected = True
        return message

    def watched_send(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            made.started = True
            made.status = message["status"]
            if made.headers:
                message["headers"] = [*message.get("headers", ()), *made.headers]
        else:
            made.response_bytes += len(message.get("body", b""))
            made.complete = not message.get("more_body", False)
        return send(message)

    return made, watched_receive, watched_send


def note_problem(scope: Scope, *, code: str, failure: Exception | None) -> None:
    """Tell the layers outside what the answer says is wrong."""
    known: Exchange | None = scope.get(_EXCHANGE)
    if known is not None:
        known.error_code, known.failure = code, failure


class LayeredApp(FastAPI):
    """FastAPI with no layers but its `middleware`, which sees every error as it was raised.

    Left out are FastAPI's own: they turn errors into answers, limit bodies and report to its telemetry, in seven calls
    per request. Whatever `middleware` raises, the server answers with 500.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.middleware_stack is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        layer: ASGIApp = AsyncExitStackMiddleware(self.router)  # closes what the routes open
        for cls, args, kwargs in reversed(self.user_middleware):
            layer = cls(layer, *args, **kwargs)
        return layer


def allowed_methods(scope: Scope) -> list[str]:
    """Return every method that the path has a route for; Starlette's own 405 names those of the first route only."""
    return sorted(
        method
        for context in iter_route_contexts(scope["app"].routes)
        if context.path_format and context.path_regex.match(scope["path"])
        for method in context.methods or ()
    )


class RouteTemplates:
    """Names the route that answered a request by its template, such as `/v1/orders/{order_id}`.

    FastAPI >= 0.137 keeps included routers as nodes, so `scope["route"].path` lacks the include prefix and `/v1/x` and
    `/v2/x` would look the same. The public `iter_route_contexts` knows the full path of every inclusion.
    """

    def __init__(self) -> None:
        self._by_endpoint: dict[object, list[_Route]] | None = None

    def __call__(self, scope: Scope) -> str:
        """Return the template, or `UNMATCHED` when no route answered: never text that the client chose."""
        known: str | None = scope.get(_ROUTE)
        if known is not None:
            return known
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
        found = scope[_ROUTE] = self._template(scope, endpoint)
        return found

    def _template(self, scope: Scope, endpoint: object) -> str:
        if self._by_endpoint is None:
            self._by_endpoint = _routes_by_endpoint(scope["app"].routes)
        routes = self._by_endpoint.get(endpoint, ())
        if len(routes) == 1:
            return routes[0].template
        # One router included twice, under two prefixes: the path tells which inclusion answered.
        for route in routes:
            if route.path_regex.match(scope["path"]):
                return route.template
        return UNMATCHED


class _Route(NamedTuple):
    template: str
    path_regex: re.Pattern[str]


def _routes_by_endpoint(routes: Sequence[BaseRoute]) -> dict[object, list[_Route]]:
    by_endpoint: dict[object, list[_Route]] = defaultdict(list)
    for context in iter_route_contexts(routes):
        if context.path_format:
            by_endpoint[context.endpoint].append(_Route(context.path_format, context.path_regex))
    return by_endpoint
