"""The few words of ASGI that several layers share."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import Scope

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
"""What the semantic conventions of OpenTelemetry call a method that nobody knows."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def method(scope: Scope) -> str:
    """Return the request method, or `OTHER_METHOD`: safe as a label, since it is never text that the client chose."""
    sent: str = scope["method"]
    return sent if sent in METHODS else OTHER_METHOD


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of the header `name` (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


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
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
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
