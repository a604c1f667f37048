"""A flag server for where a real Unleash is too heavy: rules that only switch on and off.

It does what Unleash's client API does with tokens and `If-None-Match`, and it can be told to go wrong.
`python -m dev.flag_server --port 4242` serves the flags of orders, all off.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.http_server import parser, serve

TOKEN = "*:development.token-of-the-stand-in"


@dataclass
class FlagServer:
    """Its rules, and its faults."""

    features: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    """The headers of each question."""
    answers_instead: Callable[[], Response] | None = None
    hangs: bool = False
    """Whether it takes questions, and answers none of them."""

    def know(self, **switches: bool) -> None:
        """Know these flags and no others; `_` stands for the `-` of their names."""
        self.features = [feature(name.replace("_", "-"), on=on) for name, on in switches.items()]

    def document(self) -> str:
        """Return the rules as they are sent."""
        return json.dumps({"version": 2, "features": self.features})

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(routes=[Route("/api/client/features", self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request.headers)
        while self.hangs:  # noqa: ASYNC110 - another thread says when it is over
            await asyncio.sleep(0.02)
        if self.answers_instead:
            return self.answers_instead()
        if request.headers.get("authorization") != TOKEN:
            return JSONResponse({"message": "This endpoint requires an API token."}, 401)
        document = self.document()
        etag = f'"{hashlib.sha256(document.encode()).hexdigest()[:8]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304)
        return Response(document, headers={"etag": etag}, media_type="application/json")


def feature(name: str, *, on: bool, **strategy: object) -> dict[str, Any]:
    """Return the rules of one flag: on for everybody, or for whom the strategy chooses."""
    return {"name": name, "type": "release", "enabled": on, "strategies": [{"name": "default", **strategy}]}


def main() -> None:
    """Serve the flags of orders."""
    from app.orders import flags  # noqa: PLC0415  # domain: orders

    server = FlagServer([feature(flag.name, on=False) for flag in flags.REGISTERED])  # domain: orders
    serve(server.app(), port=parser(__doc__ or "", port=4242).parse_args().port)


if __name__ == "__main__":
    main()
