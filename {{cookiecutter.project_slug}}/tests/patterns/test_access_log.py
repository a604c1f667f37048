"""patterns/structured_logging: the canonical line of a request."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.kit import context, problems
from app.kit.asgi import LayeredApp, RouteTemplates
from app.kit.errors import Conflict, Unavailable
from app.patterns.structured_logging import AccessLog
from dev.http_server import serving
from tests.support.log_lines import IDENTITY, Log, installed_log


@pytest.fixture
def log() -> Iterator[Log]:
    """Collect the lines of this test."""
    with installed_log() as log:
        yield log


class _Bind:
    """Stands where the request id and authentication layers stand."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with context.bind(context.Context(request_id="r-1")):
            await self._app(scope, receive, send)


@pytest.fixture
def app() -> FastAPI:
    """A service that succeeds, refuses and fails."""
    app = LayeredApp(
        middleware=[
            Middleware(_Bind),
            Middleware(AccessLog, route_of=RouteTemplates()),
            Middleware(problems.Problems, statuses={}),
        ]
    )
    router = APIRouter(prefix="/v1")

    @router.post("/things/{thing_id}")
    async def post_thing(thing_id: str, request: Request) -> int:
        assert thing_id
        context.current().tenant = "t-1"
        return len(await request.body())

    @router.get("/busy")
    async def busy() -> None:
        tally = context.current().tally
        tally.db_queries, tally.db_seconds = 3, 0.0123456
        tally.http_calls, tally.http_seconds, tally.retries = 2, 0.5, 1
        tally.refused_by, tally.flags = "rate_limiting", {"new-checkout": "on"}
        tally.idempotency = "in_flight"

    @router.get("/conflict")
    async def conflict() -> None:
        raise Conflict("It is taken.")

    @router.get("/down")
    async def down() -> None:
        raise Unavailable("The database is away.")

    @router.get("/bug")
    async def bug() -> None:
        raise RuntimeError("a bug")

    @router.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def stream() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("broke off")

        return StreamingResponse(stream())

    app.include_router(router)
    return app


async def request(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
    """Send one request."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, **options)


async def test_a_request_leaves_one_line(app: FastAPI, log: Log) -> None:
    """The line has the template, not the path, and what inner layers learned, such as the tenant."""
    await request(app, "POST", "/v1/things/7?token=secret", content=b"12345", headers={"user-agent": "spy"})

    (line,) = log.lines
    assert line["duration_ms"] >= 0
    assert {name: value for name, value in line.items() if name not in {"timestamp", "duration_ms"}} == {
        "level": "info", **IDENTITY, "event": "http.request", "request_id": "r-1", "trace_id": None, "span_id": None,
        "tenant": "t-1", "actor": None, "module": "http", "error_code": None, "method": "POST",
        "route": "/v1/things/{thing_id}", "status": 200, "request_bytes": 5, "response_bytes": 1,
    }  # fmt: skip


async def test_the_line_tells_what_the_request_used(app: FastAPI, log: Log) -> None:
    """Database, outbound calls, retries, refusal, idempotency key and flags, as inner layers tallied them."""
    await request(app, "GET", "/v1/busy")

    (line,) = log.lines
    tallied = {
        "db_queries": 3, "db_ms": 12.34, "http_calls": 2, "http_ms": 500.0, "retries": 1,
        "refused_by": "rate_limiting", "idempotency": "in_flight", "flags": {"new-checkout": "on"},
    }  # fmt: skip
    assert line.items() >= tallied.items()


async def test_lines_below_the_level_are_dropped(app: FastAPI) -> None:
    """Where only warnings are wanted, requests that went well leave none, and failures still do."""
    with installed_log(level="warning") as log:
        await request(app, "POST", "/v1/things/7")
        await request(app, "GET", "/v1/bug")

    assert [line["status"] for line in log.lines] == [500]


@pytest.mark.parametrize(
    ("path", "status", "level", "code", "exception"),
    [
        ("/v1/conflict", 409, "info", "conflict", None),
        ("/v1/down", 503, "error", "unavailable", "app.kit.errors.Unavailable"),
        ("/v1/bug", 500, "error", "internal_error", "RuntimeError"),
        ("/v1/nothing", 404, "info", "route_not_found", None),
    ],
    ids=["conflict", "unavailable", "bug", "no route"],
)
async def test_a_failure_names_its_code(
    app: FastAPI, log: Log, *, path: str, status: int, level: str, code: str, exception: str | None
) -> None:
    """Refusals are normal and say why; failures of ours are errors and bring their stack."""
    await request(app, "GET", path)

    (line,) = log.lines
    assert (line["status"], line["level"], line["error_code"]) == (status, level, code)
    assert line.get("exception", {}).get("type") == exception


async def test_what_the_client_chose_is_not_in_the_line(app: FastAPI, log: Log) -> None:
    """Path, query, headers and method of a stranger leave no text behind."""
    await request(app, "EVIL", "/evil-path", params={"evil": "query"}, headers={"user-agent": "evil", "x-evil": "1"})

    (line,) = log.lines
    assert (line["method"], line["route"]) == ("_OTHER", "unmatched")
    assert "evil" not in json.dumps(line).lower()


def test_a_response_that_breaks_off_is_an_error(app: FastAPI, log: Log) -> None:
    """The status had been sent; the line still says that it went wrong, once, over a real socket."""
    with serving(app) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/v1/broken-stream")

    (line,) = [line for line in log.lines if line["event"] == "http.request"]
    assert (line["status"], line["level"], line["response_bytes"]) == (200, "error", 4)
    assert "broke off" in json.dumps(line["exception"])


async def test_an_application_that_fails_without_an_answer_leaves_its_line(log: Log) -> None:
    """With no layer inside that answers, the exception passes through, and the line has it."""

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a bug")

    transport = httpx.ASGITransport(AccessLog(broken, route_of=lambda _: "/x"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError):
            await client.get("/x")

    (line,) = log.lines
    assert (line["status"], line["level"], line["exception"]["message"]) == (500, "error", "a bug")


@pytest.mark.parametrize(("complete", "disconnected"), [(False, True), (True, None)], ids=["before", "after"])
async def test_a_client_that_leaves_early_is_noted(log: Log, *, complete: bool, disconnected: bool | None) -> None:
    """A disconnect counts only before the answer is complete: afterwards it is how every connection ends."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        if complete:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        await receive()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        assert message

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await AccessLog(app, route_of=lambda _: "/x")(scope, receive, send)

    assert log.lines[0].get("client_disconnected") is disconnected
