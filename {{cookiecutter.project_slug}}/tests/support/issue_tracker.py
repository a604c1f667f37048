"""Stands in for the part of a system of pipelines that has issues."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class IssueTracker:
    """Has the issues of one project; `headers` is what a request must bring."""

    def __init__(self, path: str, headers: Mapping[str, str], *, shown_as: str) -> None:
        self._path = path
        self._headers = headers
        self._shown_as = shown_as
        self.issues: list[dict[str, str]] = []

    def app(self) -> Starlette:
        """Return its HTTP side."""
        return Starlette(routes=[Route(self._path, self._list), Route(self._path, self._add, methods=["POST"])])

    async def _list(self, request: Request) -> Response:
        return JSONResponse(self.issues) if self._is_known(request) else Response(status_code=401)

    async def _add(self, request: Request) -> Response:
        if not self._is_known(request):
            return Response(status_code=401)
        self.issues.append(await request.json())
        return JSONResponse({self._shown_as: f"https://example.com/{len(self.issues)}"}, 201)

    def _is_known(self, request: Request) -> bool:
        return all(request.headers.get(name) == value for name, value in self._headers.items())
