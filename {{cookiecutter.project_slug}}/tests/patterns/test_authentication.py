"""Authentication against a real key server over a socket."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.clock import ManualClock
from app.patterns.authentication import (
    AuthenticationSettings,
    KeysUnavailable,
    Principal,
    TokenVerifier,
    Unauthenticated,
)
from dev.token_issuer import SigningKey, TokenIssuer
from tests.support.http_server import serving

AUDIENCE = "orders-test"
CLOCK_START = ManualClock().now()


class KeyServer:
    """The development issuer behind a socket, counting the fetches of its keys; it can go down or talk nonsense."""

    def __init__(self) -> None:
        self.issuer = TokenIssuer(SigningKey.generate(), audience=AUDIENCE)
        self.fetches = 0
        self.broken_with: bytes | None = None
        self.url = ""

    @property
    def app(self) -> ASGIApp:
        inner = self.issuer.app()

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.fetches += 1
            if self.broken_with is None:
                await inner(scope, receive, send)
                return
            status = 200 if self.broken_with else 500
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": self.broken_with})

        return counted


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    server = KeyServer()
    with serving(server.app) as url:
        server.url = f"{url}/.well-known/jwks.json"
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def verifier(keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock) -> TokenVerifier:
    settings = AuthenticationSettings(issuer=keys.issuer.issuer, audience=AUDIENCE, jwks_url=keys.url)
    return TokenVerifier(settings, client=client, clock=clock)


def mint(issuer: TokenIssuer, **claims: Any) -> str:
    """Return a good token at the start of the manual clock, with single claims replaced or (None) removed."""
    return issuer.mint(scope="orders:read orders:write", now=CLOCK_START, expires_in_seconds=600, claims=claims)


def forge(issuer: TokenIssuer, header: Mapping[str, Any], *, signature: bytes = b"") -> str:
    """Return a token with a good payload under a header and a signature of the attacker's choice."""
    payload = mint(issuer).split(".")[1]
    return f"{encoded(json.dumps(header).encode())}.{payload}.{encoded(signature)}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by_a_stranger(issuer: TokenIssuer) -> str:
    """Return a token that names the issuer's key and is signed with another."""
    return jwt.encode(good_claims(issuer), SigningKey.generate().private, "ES256", {"kid": issuer.keys[0].kid})


def signed_with_the_public_key(issuer: TokenIssuer) -> str:
    """Return a token whose HS256 secret is the issuer's public key: the classic confusion of algorithms."""
    public = issuer.keys[0].private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, payload, _ = forge(issuer, {"alg": "HS256", "kid": issuer.keys[0].kid}).split(".")
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{head}.{payload}.{encoded(algorithm.sign(f'{head}.{payload}'.encode(), pem))}"


def signed_with_another_algorithm(issuer: TokenIssuer) -> str:
    """Return an RS256 token that names the issuer's elliptic key."""
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(good_claims(issuer), key, "RS256", {"kid": issuer.keys[0].kid})


def good_claims(issuer: TokenIssuer) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(mint(issuer), options={"verify_signature": False})
    return claims


def at(seconds: float) -> int:
    return int((CLOCK_START + timedelta(seconds=seconds)).timestamp())


REFUSED: dict[str, Callable[[TokenIssuer], str]] = {
    "alg none": lambda i: forge(i, {"alg": "none", "kid": i.keys[0].kid}),
    "alg none in capitals": lambda i: forge(i, {"alg": "NONE", "kid": i.keys[0].kid}),
    "alg missing": lambda i: forge(i, {"kid": i.keys[0].kid}),
    "alg not text": lambda i: forge(i, {"alg": ["ES256"], "kid": i.keys[0].kid}),
    "empty signature": lambda i: forge(i, {"alg": "ES256", "kid": i.keys[0].kid}),
    "zero signature": lambda i: forge(i, {"alg": "ES256", "kid": i.keys[0].kid}, signature=bytes(64)),
    "another key": signed_by_a_stranger,
    "public key as secret": signed_with_the_public_key,
    "another algorithm": signed_with_another_algorithm,
    "key embedded in the header": lambda i: forge(i, {"alg": "ES256", "jwk": SigningKey.generate().public_jwk}),
    "unknown critical header": lambda i: forge(i, {"alg": "ES256", "kid": i.keys[0].kid, "crit": ["x"], "x": 1}),
    "kid missing": lambda i: forge(i, {"alg": "ES256"}),
    "kid not text": lambda i: forge(i, {"alg": "ES256", "kid": 7}),
    "kid unknown": lambda i: forge(i, {"alg": "ES256", "kid": "../../etc/passwd"}),
    "payload changed": lambda i: mint(i).replace(".eyJ", ".eyK", 1),
    "expired": lambda i: mint(i, exp=at(-11)),
    "exp missing": lambda i: mint(i, exp=None),
    "exp not a number": lambda i: mint(i, exp="never"),
    "exp true": lambda i: mint(i, exp=True),
    "exp infinite": lambda i: mint(i, exp=float("inf")),
    "exp beyond floats": lambda i: mint(i, exp=10**400),
    "exp beyond digits": lambda i: mint(i).replace(".eyJ", ".eyJ", 1) + "1",
    "nbf in the future": lambda i: mint(i, nbf=at(11)),
    "iat in the future": lambda i: mint(i, iat=at(11)),
    "another audience": lambda i: mint(i, aud="billing"),
    "audience missing": lambda i: mint(i, aud=None),
    "audience not text": lambda i: mint(i, aud={"orders-test": True}),
    "another issuer": lambda i: mint(i, iss="https://issuer.example"),
    "issuer missing": lambda i: mint(i, iss=None),
    "issuer not text": lambda i: mint(i, iss=[i.issuer]),
    "tenant missing": lambda i: mint(i, tenant=None),
    "tenant empty": lambda i: mint(i, tenant=""),
    "tenant blank": lambda i: mint(i, tenant=" "),
    "tenant in capitals": lambda i: mint(i, tenant="ACME"),
    "tenant with a newline": lambda i: mint(i, tenant="acme\n"),
    "tenant with a hyphen first": lambda i: mint(i, tenant="-acme"),
    "tenant too long": lambda i: mint(i, tenant="a" * 64),
    "tenant a list": lambda i: mint(i, tenant=["acme"]),
    "tenant with a quote": lambda i: mint(i, tenant="a' or '1'='1"),
    "sub missing": lambda i: mint(i, sub=None),
    "sub empty": lambda i: mint(i, sub=""),
    "sub with a newline": lambda i: mint(i, sub="a\nb"),
    "sub too long": lambda i: mint(i, sub="a" * 256),
    "scope a list": lambda i: mint(i, scope=["orders:read"]),
    "too long": lambda i: mint(i, padding="x" * 8192),
    "empty": lambda _: "",
    "one word": lambda _: "garbage",
    "two dots": lambda _: "..",
    "not base64": lambda _: "!.!.!",
    "not ASCII": lambda _: "ä.ö.ü",
    "NUL bytes": lambda _: "\x00.\x00.\x00",
    "header not JSON": lambda _: f"{encoded(b'{')}.e30.e30",
    "header a list": lambda _: f"{encoded(b'[]')}.e30.e30",
    "header nested deeply": lambda _: f"{encoded(b'[' * 4000)}.e30.e30",
    "five parts": lambda i: mint(i) + ".e30.e30",
}


async def test_good_token_names_actor_tenant_and_scopes(verifier: TokenVerifier, keys: KeyServer) -> None:
    """A good token yields exactly the principal that it states."""
    principal = await verifier.verify(mint(keys.issuer, sub="user-1", tenant="acme-2"))

    assert principal == Principal("user-1", "acme-2", frozenset({"orders:read", "orders:write"}))


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": at(-9)}, id="just expired, within the leeway"),
        pytest.param({"nbf": at(9), "iat": at(9)}, id="issuer's clock ahead, within the leeway"),
        pytest.param({"aud": ["billing", AUDIENCE]}, id="several audiences"),
        pytest.param({"tenant": "a" * 63}, id="longest tenant"),
        pytest.param({"tenant": "7"}, id="shortest tenant"),
        pytest.param({"scope": None}, id="no scope"),
        pytest.param({"exp": at(60) + 0.5}, id="fraction of a second"),
    ],
)
async def test_good_token_at_the_edge_is_accepted(
    verifier: TokenVerifier, keys: KeyServer, claims: dict[str, Any]
) -> None:
    """Every rule accepts its last allowed value."""
    principal = await verifier.verify(mint(keys.issuer, **claims))

    assert principal.actor == "developer"


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
async def test_bad_token_is_refused(
    verifier: TokenVerifier, keys: KeyServer, make: Callable[[TokenIssuer], str]
) -> None:
    """A token that breaks one rule is refused, and the reason repeats nothing that the caller sent."""
    token = make(keys.issuer)

    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)

    assert refused.value.code == "unauthenticated"
    assert not [part for part in token.split(".") if len(part) > 1 and part in refused.value.detail]
