"""kit/problems.py: every error leaves as a problem document (RFC 9457)."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Literal

import httpx
import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import problems
from app.kit.asgi import LayeredApp
from app.kit.errors import AppError, Conflict, Forbidden, Invalid, NotFound, RateLimited, Unavailable


class Teapot(Forbidden):
    """A service's own error, with a status of its own."""

    code = "teapot"
    title = "Short and stout"


class _Raising:
    """A layer that refuses what the path names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/refused-by-a-layer":
            raise Teapot("No coffee here.")
        await self._app(scope, receive, send)


class Card(BaseModel):
    """One way to pay."""

    kind: Literal["card"]
    number: int


class Invoice(BaseModel):
    """Another way to pay."""

    kind: Literal["invoice"]


def refuse(value: str) -> str:
    """Refuse a value in words that repeat it."""
    raise ValueError(f"{value} is taken")


class Body(BaseModel):
    """A body with one number, and with what pydantic's messages and places can hold of the client's text."""

    model_config = ConfigDict(extra="forbid")

    number: int
    prices: dict[str, int] = {}
    mail: Annotated[str, AfterValidator(refuse)] | None = None
    payment: Annotated[Card | Invoice, Field(discriminator="kind")] | None = None


STATUSES: dict[type[AppError], HTTPStatus] = {Teapot: HTTPStatus.IM_A_TEAPOT}


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = LayeredApp(middleware=[Middleware(problems.Problems, statuses=STATUSES), Middleware(_Raising)])

    @app.get("/raise/{name}")
    async def raise_error(name: str) -> None:
        errors: dict[str, AppError] = {
            cls.__name__: cls("What happened.")
            for cls in (AppError, NotFound, Conflict, Forbidden, Invalid, RateLimited, Unavailable, Teapot)
        }
        raise errors[name]

    @app.get("/later")
    async def later() -> None:
        raise Unavailable("Down.", retry_after_seconds=7)

    @app.put("/body")
    async def put(body: Body) -> int:
        return body.number

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret of ann@mail.example")

    @app.post("/body")
    async def body(body: Body) -> None: ...

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("NotFound", 404, "not_found"),
        ("Conflict", 409, "conflict"),
        ("Forbidden", 403, "forbidden"),
        ("Invalid", 422, "invalid_request"),
        ("RateLimited", 429, "rate_limited"),
        ("Unavailable", 503, "unavailable"),
        ("AppError", 500, "internal_error"),
        ("Teapot", 418, "teapot"),
    ],
)
async def test_each_category_has_its_status_and_code(
    client: httpx.AsyncClient, name: str, status: int, code: str
) -> None:
    """A category decides the status, the class decides the code, and a service may refine the status."""
    response = await client.get(f"/raise/{name}")

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["code"], document["detail"]) == (status, code, "What happened.")
    assert document["type"] == f"urn:problem:{code}"


async def test_an_error_that_passes_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    """`retry_after_seconds` becomes the Retry-After header."""
    response = await client.get("/later")

    assert response.headers["retry-after"] == "7"


async def test_a_bug_is_a_500_that_tells_nothing(client: httpx.AsyncClient) -> None:
    """An unexpected exception reaches the client as a bare 500: no stack, no message."""
    response = await client.get("/bug")

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text


async def test_a_layer_may_refuse_like_a_route(client: httpx.AsyncClient) -> None:
    """What a layer raises becomes the same kind of document."""
    response = await client.get("/refused-by-a-layer")

    assert (response.status_code, response.json()["code"]) == (418, "teapot")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"{", 400, "malformed_request", id="cut off"),
        pytest.param(b"\xff\xfe", 400, "malformed_request", id="not UTF-8"),
        pytest.param(b'{"number":' + b"[" * 100_000, 400, "malformed_request", id="deeply nested"),
        pytest.param(b'{"number": "secret"}', 422, "invalid_request", id="wrong type"),
        pytest.param(b"", 422, "invalid_request", id="nothing"),
    ],
)
async def test_a_bad_body_is_refused_without_being_repeated(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    """Malformed JSON is 400, wrong JSON 422; neither answer holds what the client sent."""
    response = await client.post("/body", content=body, headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "secret" not in response.text


async def test_a_validation_problem_points_at_the_mistake(client: httpx.AsyncClient) -> None:
    """Each wrong value is named by a JSON pointer."""
    response = await client.post("/body", json={"number": "x"})

    errors: list[dict[str, Any]] = response.json()["errors"]
    assert [error["pointer"] for error in errors] == ["#/number"]


async def test_an_unknown_field_is_not_named(client: httpx.AsyncClient) -> None:
    """A field that nobody knows is the client's own text: the object that holds it is pointed at."""
    response = await client.post("/body", json={"number": 1, "secret": 1})

    assert response.json()["errors"] == [{"pointer": "#", "detail": "Extra inputs are not permitted"}]
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a/b~c", "a~1b~0c"), ("x" * 1_000, "x" * 64), ("ann@mail.example", "[email]")],
    ids=["escaped", "cut", "redacted"],
)
async def test_the_key_of_a_mapping_is_tamed(client: httpx.AsyncClient, key: str, shown: str) -> None:
    """It is written as RFC 6901 says, no longer than a real name would be, and without what can be recognised."""
    response = await client.post("/body", json={"number": 1, "prices": {key: "x"}})

    assert [error["pointer"] for error in response.json()["errors"]] == [f"#/prices/{shown}"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"payment": {"kind": "ann@mail.example"}}, "Input tag is none of the expected tags"),
        ({"mail": "ann@mail.example"}, "Value error, [email] is taken"),
    ],
    ids=["of pydantic", "of our own"],
)
async def test_a_message_that_repeats_the_value_is_tamed(
    client: httpx.AsyncClient, body: dict[str, Any], detail: str
) -> None:
    """The tag of a union comes back in pydantic's words, and not in ours; what our validators say is redacted."""
    response = await client.post("/body", json={"number": 1, **body})

    assert [error["detail"] for error in response.json()["errors"]] == [detail]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "route_not_found"), ("PATCH", "/body", 405, "method_not_allowed")],
)
async def test_the_routers_own_errors_are_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """An unknown path and an unknown method are answered like everything else."""
    response = await client.request(method, path)

    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    """`Allow` names the methods of every route on the path (RFC 9110), not only of the first."""
    response = await client.patch("/body")

    assert response.headers["allow"] == "POST, PUT"


async def test_a_request_that_the_stopping_server_cancels_is_told_so() -> None:
    """Cancellation, which only a server does that has run out of patience, becomes a 503."""

    async def cancelled(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise asyncio.CancelledError

    app = problems.Problems(cancelled, statuses=STATUSES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/")

    assert (response.status_code, response.json()["code"]) == (503, "server_stopping")
