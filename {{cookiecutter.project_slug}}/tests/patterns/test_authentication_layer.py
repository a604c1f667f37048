"""Authentication as a client meets it: a small service over a socket, with the layers in their production order."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from prometheus_client import REGISTRY
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import context, problems
from app.kit.asgi import LayeredApp
from app.kit.clock import SystemClock
from app.kit.errors import AppError
from app.patterns.authentication import (
    Authentication,
    AuthenticationSettings,
    Principal,
    TokenVerifier,
    Unauthenticated,
    requires,
)
from dev.http_server import serving
from dev.token_issuer import SigningKey, TokenIssuer

STATUSES: dict[type[AppError], HTTPStatus] = {Unauthenticated: HTTPStatus.UNAUTHORIZED}
ISSUER = TokenIssuer(SigningKey.generate(), audience="orders-test")


class BindContext:
    """ASGI layer: a context for each request, as the request-id layer binds it in production."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind, and pass on."""
        with context.bind(context.Context(request_id="r-1")):
            await self._app(scope, receive, send)


def service(jwks_url: str) -> FastAPI:
    """Return a service with one open and one guarded route."""
    settings = AuthenticationSettings(issuer=ISSUER.issuer, audience=ISSUER.audience, jwks_url=jwks_url)
    client = httpx.AsyncClient()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    verifier = TokenVerifier(settings, client, SystemClock())
    app = LayeredApp(
        lifespan=lifespan,
        middleware=[
            Middleware(BindContext),
            Middleware(problems.Problems, statuses=STATUSES),
            Middleware(Authentication, verifier=verifier),
        ],
    )

    @app.get("/open")
    async def anyone() -> dict[str, str]:
        return {"tenant": context.current().tenant, "actor": context.current().actor}

    @app.get("/orders")
    async def orders(principal: Annotated[Principal, Depends(requires("orders:read"))]) -> dict[str, str]:
        return {"tenant": principal.tenant, "actor": principal.actor}

    return app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Yield where the service listens, with its issuer up."""
    with serving(ISSUER.app()) as issuer, serving(service(f"{issuer}/.well-known/jwks.json")) as url:
        yield url


def bearer(**claims: object) -> dict[str, str]:
    """Return the header for a token that may read orders."""
    return {"Authorization": f"Bearer {ISSUER.mint(scope='orders:read', claims=claims)}"}


def forged(**header: object) -> dict[str, str]:
    """Return the header for a token with a wrong signature, whose own header says this."""
    head, payload, _ = ISSUER.mint(scope="orders:read").split(".")
    told = json.loads(urlsafe_b64decode(head + "==")) | header
    changed = urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    return {"Authorization": f"Bearer {changed}.{payload}.{'A' * 86}"}


def counted() -> dict[tuple[str, str], float]:
    """Return what this process has counted, by metric and label."""
    return {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in REGISTRY.collect()
        if family.name in ("authentication_tokens", "authorization_refusals")
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_caller_with_the_scope_gets_in(url: str) -> None:
    """The route learns actor and tenant from the token."""
    answer = httpx.get(f"{url}/orders", headers=bearer(sub="user-1", tenant="globex"))

    assert (answer.status_code, answer.json()) == (200, {"tenant": "globex", "actor": "user-1"})


def test_context_holds_the_caller_for_every_layer(url: str) -> None:
    """Code without access to the request, such as a log line, sees the tenant and the actor."""
    answer = httpx.get(f"{url}/open", headers=bearer(sub="user-1", tenant="globex"))

    assert answer.json() == {"tenant": "globex", "actor": "user-1"}


def test_open_route_needs_no_token(url: str) -> None:
    """Without a header the layer steps aside; nobody is known."""
    answer = httpx.get(f"{url}/open")

    assert (answer.status_code, answer.json()) == (200, {"tenant": "", "actor": ""})


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        pytest.param("/orders", {}, 401, "unauthenticated", id="no token"),
        pytest.param("/orders", bearer(scope="orders:write"), 403, "insufficient_scope", id="another scope"),
        pytest.param("/orders", bearer(scope="orders:reader"), 403, "insufficient_scope", id="longer scope"),
        pytest.param("/orders", bearer(scope=None), 403, "insufficient_scope", id="no scope"),
        pytest.param("/orders", bearer(exp=1), 401, "unauthenticated", id="expired"),
        pytest.param("/open", bearer(exp=1), 401, "unauthenticated", id="expired on an open route"),
        pytest.param("/nowhere", bearer(exp=1), 401, "unauthenticated", id="expired on an unknown route"),
        pytest.param("/open", {"Authorization": "Basic dTpw"}, 401, "unauthenticated", id="password"),
        pytest.param(
            "/open",
            {"Authorization": bearer()["Authorization"].replace("Bearer", "Basic")},
            401,
            "unauthenticated",
            id="good token under another scheme",
        ),
        pytest.param("/open", {"Authorization": "Bearer"}, 401, "unauthenticated", id="scheme only"),
        pytest.param("/open", {"Authorization": ""}, 401, "unauthenticated", id="empty header"),
        pytest.param("/open", {"Authorization": "Bearer a b"}, 401, "unauthenticated", id="two words"),
        pytest.param("/open", [*bearer().items(), *bearer().items()], 401, "unauthenticated", id="two headers"),
    ],
)
def test_caller_is_turned_away_with_a_problem(
    url: str, path: str, headers: dict[str, str] | list[tuple[str, str]], status: int, code: str
) -> None:
    """Each way to be refused has its status and its stable code; 401 names the scheme to use."""
    answer = httpx.get(f"{url}{path}", headers=headers)

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize(
    ("path", "headers", "metric", "labels"),
    [
        ("/orders", bearer(), "authentication_tokens_total", {"outcome": "accepted"}),
        ("/orders", bearer(exp=1), "authentication_tokens_total", {"outcome": "expired"}),
        ("/orders", bearer(nbf=10**11), "authentication_tokens_total", {"outcome": "not_yet_valid"}),
        ("/orders", bearer(aud="billing"), "authentication_tokens_total", {"outcome": "audience"}),
        ("/orders", bearer(iss="https://other.example"), "authentication_tokens_total", {"outcome": "issuer"}),
        ("/orders", bearer(tenant="ACME"), "authentication_tokens_total", {"outcome": "claims"}),
        ("/orders", bearer(sub=None), "authentication_tokens_total", {"outcome": "claims"}),
        ("/open", {"Authorization": "Basic dTpw"}, "authentication_tokens_total", {"outcome": "malformed"}),
        ("/orders", forged(alg="none"), "authentication_tokens_total", {"outcome": "algorithm"}),
        ("/orders", forged(kid="another"), "authentication_tokens_total", {"outcome": "unknown_key"}),
        ("/orders", forged(), "authentication_tokens_total", {"outcome": "signature"}),
        ("/orders", {}, "authorization_refusals_total", {"reason": "no_token"}),
        ("/orders", bearer(scope="orders:write"), "authorization_refusals_total", {"reason": "scope"}),
    ],
    ids=[
        "accepted",
        "expired",
        "not yet valid",
        "audience",
        "issuer",
        "tenant",
        "subject",
        "scheme",
        "algorithm",
        "key",
        "signature",
        "no token",
        "scope",
    ],
)
def test_what_came_of_it_is_counted(
    url: str, path: str, headers: dict[str, str], metric: str, labels: dict[str, str]
) -> None:
    """Each token by the rule that it broke, each caller by what was lacking; and under nothing else."""
    before = counted()
    httpx.get(f"{url}{path}", headers=headers)
    after = counted()

    grown = {series: int(value - before[series]) for series, value in after.items() if value != before[series]}
    expected = {(metric, *labels.values()): 1}
    if labels == {"reason": "scope"}:
        expected["authentication_tokens_total", "accepted"] = 1
    assert grown == expected


def test_scheme_is_compared_without_case(url: str) -> None:
    """`bearer` is `Bearer` (RFC 9110, section 11.1)."""
    answer = httpx.get(f"{url}/orders", headers={"Authorization": f"bearer {ISSUER.mint(scope='orders:read')}"})

    assert answer.status_code == 200


def test_api_description_names_the_scheme_and_the_scope(url: str) -> None:
    """Readers and tools learn from the document that a route wants a JWT with a scope."""
    document = httpx.get(f"{url}/openapi.json").json()

    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert document["paths"]["/orders"]["get"]["security"] == [{"bearer": ["orders:read"]}]
    assert "security" not in document["paths"]["/open"]["get"]


def test_keys_that_cannot_be_had_are_a_503() -> None:
    """With the issuer down from the start, the caller is told to come back, and open routes still answer."""
    before = counted()["authentication_tokens_total", "keys_unavailable"]
    with serving(service("http://127.0.0.1:9/jwks")) as url:
        refused = httpx.get(f"{url}/orders", headers=bearer())
        open_route = httpx.get(f"{url}/open")

    assert (
        refused.status_code,
        refused.json()["code"],
        refused.headers["Retry-After"],
    ) == (503, "keys_unavailable", "5")
    assert open_route.status_code == 200
    assert counted()["authentication_tokens_total", "keys_unavailable"] == before + 1
