"""The development issuer: its keys, its tokens, its endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from dev.http_server import serving
from dev.token_issuer import ISSUER, SigningKey, TokenIssuer


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Yield a client of a fresh issuer."""
    issuer = TokenIssuer(SigningKey.generate(), audience="orders-test")
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
