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


async def test_a_well_formed_id_is_taken_and_echoed() -> None:
    """The caller's own id names the work inside, and comes back."""
    response = await ask([(b"x-request-id", b"Order-7_retry.2")])

    assert response.json() == "Order-7_retry.2"
    assert response.headers["x-request-id"] == "Order-7_retry.2"


async def test_without_an_id_one_is_made() -> None:
    """A request that brings no id gets a UUIDv7 in hexadecimal digits, a new one each time."""
    first, second = await ask([]), await ask([])

    assert re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] == first.json() != second.json()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"a" * 129,
        b"a" * 10_000,
        b"a b",
        b"a;b",
        b'a"b',
        b"a\tb",
        "naïve".encode(),
        b"a\x7f",
        b"${jndi:ldap}",
        b"a/b",
    ],
    ids=["empty", "129", "10k", "space", "semicolon", "quote", "tab", "utf-8", "control", "lookup", "slash"],
)
async def test_a_malformed_id_is_replaced(sent: bytes) -> None:
    """Text that could break a header, a log line or a query is never echoed or passed on."""
    response = await ask([(b"x-request-id", sent)])

    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json() == response.headers["x-request-id"]


async def test_the_longest_id_is_taken() -> None:
    """128 characters are still well-formed."""
    assert (await ask([(b"x-request-id", b"a" * 128)])).json() == "a" * 128


def test_the_id_comes_back_over_a_socket_exactly_once() -> None:
    """A real server sends the header once, for an answer of the router too."""
    with serving(service()) as url:
        response = httpx.get(f"{url}/nowhere", headers={"x-request-id": "abc"})

    assert response.status_code == 404
    assert response.headers.get_list("x-request-id") == ["abc"]


async def test_outbound_calls_carry_the_id() -> None:
    """The httpx hook passes the id of the work in hand to the service that is called."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service()), base_url="http://test", event_hooks={"request": [add_request_id]}
    ) as client:
        with context.bind(context.Context(request_id="from-here")):
            passed_on = await client.get("/")
            chosen = await client.get("/", headers={"x-request-id": "explicit"})

    assert passed_on.json() == "from-here"
    assert chosen.json() == "explicit"


async def test_outside_any_work_no_id_is_sent() -> None:
    """Without a context there is no id to pass on, and no empty header either."""
    request = httpx.Request("GET", "http://test/")

    await add_request_id(request)

    assert "x-request-id" not in request.headers
