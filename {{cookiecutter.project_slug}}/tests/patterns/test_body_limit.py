"""patterns/body_limit.py: a body over the limit is 413, by announcement and by count, whoever reads it."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from app.kit import problems
from app.kit.asgi import LayeredApp
from app.kit.errors import AppError
from app.patterns.body_limit import BodyLimit, BodyTooLarge
from dev.http_server import serving

LIMIT = 100
STATUSES: dict[type[AppError], HTTPStatus] = {BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE}


def service(kind: type[FastAPI] = LayeredApp) -> FastAPI:
    """Return an application whose routes read the body in the ways that FastAPI has."""
    app = kind(middleware=[Middleware(problems.Problems, statuses=STATUSES), Middleware(BodyLimit, max_bytes=LIMIT)])

    @app.post("/parsed")
    async def parsed(body: dict[str, str] = Body()) -> int:  # noqa: B008 - FastAPI's way
        return len(body)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/unread")
    async def unread() -> int:
        return 0

    return app


async def chunks(count: int) -> AsyncIterator[bytes]:
    """Send a JSON object of `count` bytes, a few at a time and unannounced."""
    document = b'{"a":"' + b"x" * (count - 8) + b'"}'
    for start in range(0, count, 7):
        yield document[start : start + 7]


@pytest.mark.parametrize("path", ["/parsed", "/raw", "/unread"])
async def test_an_announced_body_over_the_limit_is_refused_unread(path: str) -> None:
    """Content-Length alone decides, also where nobody would have read the body."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service()), base_url="http://test") as client:
        response = await client.post(path, content=b"x" * (LIMIT + 1))

    assert response.status_code == 413
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    assert response.json()["code"] == "body_too_large"


@pytest.mark.parametrize("kind", [LayeredApp, FastAPI])
@pytest.mark.parametrize("path", ["/parsed", "/raw"])
async def test_a_chunked_body_over_the_limit_is_refused_while_it_is_read(path: str, kind: type[FastAPI]) -> None:
    """FastAPI takes an error in the middle of a body for malformed JSON; the caller still gets 413, over a socket."""
    with serving(service(kind)) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            response = await client.post(path, content=chunks(LIMIT + 1), headers={"content-type": "application/json"})

    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


@pytest.mark.parametrize("path", ["/parsed", "/raw"])
async def test_a_body_of_exactly_the_limit_passes(path: str) -> None:
    """The limit is the largest body that is taken, announced or not."""
    announced = b'{"a":"' + b"x" * (LIMIT - 8) + b'"}'
    with serving(service()) as url:
        async with httpx.AsyncClient(base_url=url, headers={"content-type": "application/json"}) as client:
            answers = [await client.post(path, content=content) for content in (announced, chunks(LIMIT))]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_an_application_that_swallows_the_refusal_cannot_answer() -> None:
    """Whatever the application makes of the broken-off body, its answer is not sent and the refusal goes out."""
    sent: list[Message] = []

    async def stubborn(_scope: Scope, receive: Receive, _send: Send) -> None:
        try:
            await receive()
        except BodyTooLarge:
            return

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * (LIMIT + 1), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "http_version": "2", "method": "POST", "path": "/", "headers": []}
    with pytest.raises(BodyTooLarge):
        await BodyLimit(stubborn, max_bytes=LIMIT)(scope, receive, send)

    assert sent == []
