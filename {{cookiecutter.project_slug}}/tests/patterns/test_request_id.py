"""patterns/request_id.py: one id from the caller through this service to the next."""

import re

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware

from app.kit import context
from app.patterns.request_id import RequestId, add_request_id
from dev.http_server import serving


def service() -> FastAPI:
    """Return an application that answers with the id it sees."""
    app = FastAPI(middleware=[Middleware(RequestId)])

    @app.get("/")
    async def show() -> str:
        return context.current().request_id

    return app


async def ask(headers: list[tuple[bytes, bytes]]) -> httpx.Response:
    """Send one request to `service`."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service()), base_url="http://test") as client:
        return await client.get("/", headers=headers)


@pytest.mark.parametrize(
    "sent",
    [
        b"0199f2c41d347abc8def01a3456789ab",
        b"4BF92F3577B34DA6A3CE929D0E0E4736",
        b"0199f2c4-1d34-7abc-8def-01a3456789ab",
        b"01ARZ3NDEKTSV4RRFFQ69G5FAV",
    ],
    ids=["32 digits", "large letters", "UUID", "ULID"],
)
async def test_a_generated_id_is_taken_and_echoed(sent: bytes) -> None:
    """The caller's own id names the work inside, and comes back as it was."""
    response = await ask([(b"x-request-id", sent)])

    assert response.json() == response.headers["x-request-id"] == sent.decode()


async def test_without_an_id_one_is_made() -> None:
    """A request that brings no id gets 128 random bits in hexadecimal digits, new ones each time."""
    first, second = await ask([]), await ask([])

    assert re.fullmatch(r"[0-9a-f]{32}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] == first.json() != second.json()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"order-7", id="word"),
        pytest.param(b"4111111111111111", id="card"),
        pytest.param(b"ann@mail.example", id="e-mail"),
        pytest.param(b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl", id="token"),
        pytest.param(b"DE89370400440532013000", id="IBAN"),
        pytest.param(b"a" * 31, id="31 digits"),
        pytest.param(b"a" * 33, id="33 digits"),
        pytest.param(b"a" * 10_000, id="10k"),
        pytest.param(b"{0199f2c4-1d34-7abc-8def-01a3456789ab}", id="braces"),
        pytest.param(b"0199f2c41d34-7abc-8def-01a3456789ab", id="a hyphen less"),
        pytest.param(b"01ARZ3NDEKTSV4RRFFQ69G5FAU", id="letter that no ULID has"),
        pytest.param(b"81ARZ3NDEKTSV4RRFFQ69G5FAV", id="ULID of the year 10889"),
        pytest.param(b"a" * 31 + b"\t", id="tab"),
        pytest.param(b"a" * 31 + b"\n", id="line feed"),
        pytest.param("\u0661".encode() * 16, id="digits of another script"),
    ],
)
async def test_any_other_text_is_replaced(sent: bytes) -> None:
    """What a person could have written is never echoed, logged or passed on."""
    response = await ask([(b"x-request-id", sent)])

    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json() == response.headers["x-request-id"] != sent.decode()


def test_the_id_comes_back_over_a_socket_exactly_once() -> None:
    """A real server sends the header once, for an answer of the router too."""
    with serving(service()) as url:
        response = httpx.get(f"{url}/nowhere", headers={"x-request-id": "a" * 32})

    assert response.status_code == 404
    assert response.headers.get_list("x-request-id") == ["a" * 32]


async def test_outbound_calls_carry_the_id() -> None:
    """The httpx hook passes the id of the work in hand to the service that is called."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service()), base_url="http://test", event_hooks={"request": [add_request_id]}
    ) as client:
        with context.bind(context.Context(request_id="a" * 32)):
            passed_on = await client.get("/")
            chosen = await client.get("/", headers={"x-request-id": "b" * 32})

    assert passed_on.json() == "a" * 32
    assert chosen.json() == "b" * 32


async def test_outside_any_work_no_id_is_sent() -> None:
    """Without a context there is no id to pass on, and no empty header either."""
    request = httpx.Request("GET", "http://test/")

    await add_request_id(request)

    assert "x-request-id" not in request.headers
