"""The few words of ASGI that several layers share."""

from collections import defaultdict
from collections.abc import Sequence

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import Scope

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
"""What the semantic conventions of OpenTelemetry call a method that nobody knows."""
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


class RouteTemplates:
    """Names the route that answered a request by its template, such as `/v1/orders/{order_id}`.

    FastAPI >= 0.137 keeps included routers as nodes, so `scope["route"].path` lacks the include prefix and `/v1/x` and
    `/v2/x` would look the same. The public `iter_route_contexts` knows the full path of every inclusion.
    """

    def __init__(self) -> None:
        self._by_route: dict[int, list[RouteContext]] | None = None

    def __call__(self, scope: Scope) -> str:
        """Return the template, or `UNMATCHED` when no route answered: never text that the client chose."""
        route = scope.get("route")
        if route is None:
            return UNMATCHED
        if self._by_route is None:
            self._by_route = _contexts_by_route(scope["app"].routes)
        contexts = self._by_route.get(id(route), [])
        if len(contexts) == 1:
            return contexts[0].path_format or UNMATCHED
        # One router included twice, under two prefixes: the path tells which inclusion answered.
        for context in contexts:
            if context.path_regex.match(scope["path"]):
                return context.path_format or UNMATCHED
        return UNMATCHED


def _contexts_by_route(routes: Sequence[BaseRoute]) -> dict[int, list[RouteContext]]:
    by_route = defaultdict(list)
    for context in iter_route_contexts(routes):
        by_route[id(context.original_route)].append(context)
    return dict(by_route)
