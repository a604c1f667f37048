"""The development issuer: its keys, its tokens, its endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from dev.http_server import serving
from dev.token_issuer import ISSUER, SigningKey, TokenIssuer

CREDENTIALS = {"grant_type": "client_credentials", "client_id": "probe", "client_secret": "opens-the-door"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """Yield a client of a fresh issuer, to which one program is known."""
    issuer = TokenIssuer(SigningKey.generate(), audience="orders-test")
    issuer.clients["probe"] = tmp_path / "secret"
    issuer.clients["probe"].write_text("opens-the-door\n")
    with serving(issuer.app()) as url, httpx.Client(base_url=url) as client:
        yield client


def verified(client: httpx.Client, token: str) -> dict[str, Any]:
    """Return the claims of `token`, checked with the published keys."""
    keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, audience="orders-test", issuer=ISSUER)
    return claims


@pytest.mark.parametrize("kind", ["json", "data"])
def test_token_says_what_was_asked_for(client: httpx.Client, kind: str) -> None:
    """JSON and form give the same token, which the published keys verify."""
    asked = {"tenant": "globex", "actor": "user-1", "scope": "orders:read orders:write", "expires_in": 60}

    answer = client.request("POST", "/token", **{kind: asked}).json()  # type: ignore[arg-type]  # one of two keywords

    claims = verified(client, answer["access_token"])
    assert ("globex", "user-1", asked["scope"]) == (claims["tenant"], claims["sub"], claims["scope"])
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 60


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"tenant": ""}, id="empty tenant"),
        pytest.param({"expires_in": 0}, id="no life"),
        pytest.param({"expires_in": "soon"}, id="life not a number"),
        pytest.param({"tenat": "acme"}, id="misspelt field"),
    ],
)
def test_bad_request_gets_no_token(client: httpx.Client, body: dict[str, object]) -> None:
    """A mistake is named instead of being signed."""
    answer = client.post("/token", json=body)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_program_gets_a_token_for_its_secret(client: httpx.Client) -> None:
    """It is the actor, in the tenant that it asks for (RFC 6749, 4.4)."""
    asked = {**CREDENTIALS, "tenant": "probe", "scope": "orders:read"}

    claims = verified(client, client.post("/token", data=asked).json()["access_token"])

    assert (claims["sub"], claims["tenant"], claims["scope"]) == ("probe", "probe", "orders:read")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        pytest.param({"client_secret": "wrong"}, (401, "invalid_client"), id="wrong secret"),
        pytest.param({"client_secret": ""}, (401, "invalid_client"), id="no secret"),
        pytest.param({"client_id": "nobody"}, (401, "invalid_client"), id="unknown"),
        pytest.param({"grant_type": "password"}, (400, "invalid_request"), id="another grant"),
    ],
)
def test_a_program_without_its_secret_gets_none(
    client: httpx.Client, change: dict[str, str], answer: tuple[int, str]
) -> None:
    """As any issuer says it."""
    refused = client.post("/token", data={**CREDENTIALS, **change})

    assert (refused.status_code, refused.json()["error"]) == answer


def test_published_keys_hold_no_secret(client: httpx.Client) -> None:
    """The private part of a key never leaves the process."""
    published = client.get("/.well-known/jwks.json").json()["keys"]

    assert [sorted(key) for key in published] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]


def test_key_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    """Tokens of yesterday are good today, and only the owner can read the key."""
    path = tmp_path / "new" / "key.pem"

    first, second = SigningKey.load_or_create(path), SigningKey.load_or_create(path)

    assert first.kid == second.kid
    assert oct(path.stat().st_mode & 0o777) == "0o600"
