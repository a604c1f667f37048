"""Authentication against a real key server over a socket."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.kit.clock import ManualClock
from app.patterns.authentication import (
    AuthenticationSettings,
    KeysUnavailable,
    Principal,
    TokenVerifier,
    Unauthenticated,
)
from dev.http_server import serving
from dev.token_issuer import SigningKey, TokenIssuer

AUDIENCE = "orders-test"
CLOCK_START = ManualClock().now()


class KeyServer:
    """The development issuer behind a socket, counting the fetches of its keys; it can be made to answer otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        """Forget everything, the signing key included."""
        self.issuer = TokenIssuer(SigningKey.generate(), audience=AUDIENCE)
        self.fetches = 0
        self.answers_instead: tuple[int, bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and answer."""
        self.fetches += 1
        if self.answers_instead is None:
            await self.issuer.app()(scope, receive, send)
        else:
            status, body = self.answers_instead
            await Response(body, status)(scope, receive, send)


@pytest.fixture(scope="module")
def key_server() -> Iterator[KeyServer]:
    """Yield one socket for the whole file."""
    server = KeyServer()
    with serving(server) as url:
        server.url = f"{url}/.well-known/jwks.json"
        yield server


@pytest.fixture
def keys(key_server: KeyServer) -> KeyServer:
    """Return the key server with a new key."""
    key_server.reset()
    return key_server


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the verifier reads."""
    return ManualClock()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Yield the client that fetches keys."""
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def verifier(keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock) -> TokenVerifier:
    """Return a verifier with the default settings."""
    return TokenVerifier(settings_for(keys), client, clock)


def mint(issuer: TokenIssuer, **claims: object) -> str:
    """Return a good token at the start of the manual clock, with single claims replaced or (None) removed."""
    return issuer.mint(scope="orders:read orders:write", now=CLOCK_START, expires_in_seconds=600, claims=claims)


def forge(issuer: TokenIssuer, header: Mapping[str, Any], *, signature: bytes = b"") -> str:
    """Return a token with a good payload under a header and a signature of the attacker's choice."""
    payload = mint(issuer).split(".")[1]
    return f"{encoded(json.dumps(header).encode())}.{payload}.{encoded(signature)}"


def signed(issuer: TokenIssuer, payload: bytes) -> str:
    """Return a token with a good signature over whatever bytes."""
    return jwt.PyJWS().encode(payload, issuer.keys[0].private, "ES256", {"kid": issuer.keys[0].kid})


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
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
    """Return the claims of a good token."""
    claims: dict[str, Any] = jwt.decode(mint(issuer), options={"verify_signature": False})
    return claims


def at(seconds: float) -> int:
    """Return the Unix time `seconds` after the start of the manual clock."""
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
    "exp with 5000 digits": lambda i: signed(i, b'{"exp":' + b"9" * 5000 + b"}"),
    "claims nested deeply": lambda i: signed(i, b"[" * 5000),
    "claims a list": lambda i: signed(i, b"[]"),
    "claims not UTF-8": lambda i: signed(i, b"\xff"),
    "nbf in the future": lambda i: mint(i, nbf=at(11)),
    "iat true": lambda i: mint(i, iat=True),
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


def settings_for(keys: KeyServer, **changes: object) -> AuthenticationSettings:
    """Return the default settings for `keys`, with changes."""
    return AuthenticationSettings.model_validate(
        {"issuer": keys.issuer.issuer, "audience": AUDIENCE, "jwks_url": keys.url, **changes}
    )


async def test_verified_token_still_expires(verifier: TokenVerifier, keys: KeyServer, clock: ManualClock) -> None:
    """Remembering a token does not prolong its life."""
    token = mint(keys.issuer, exp=at(60))
    await verifier.verify(token)

    clock.advance(71)

    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.verify(token)


async def test_remembered_tokens_are_bounded(keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock) -> None:
    """However many tokens come by, only the newest are remembered."""
    verifier = TokenVerifier(settings_for(keys, verified_tokens=2), client, clock)

    for actor in ("a", "b", "c"):
        await verifier.verify(mint(keys.issuer, sub=actor))

    assert [verified.principal.actor for verified in verifier._verified.values()] == ["b", "c"]


async def test_keys_are_fetched_once_for_many_requests(verifier: TokenVerifier, keys: KeyServer) -> None:
    """A hundred first requests at the same time cost the issuer one fetch."""
    tokens = [mint(keys.issuer, sub=f"user-{number}") for number in range(100)]

    principals = await asyncio.gather(*(verifier.verify(token) for token in tokens))

    assert (len(principals), keys.fetches) == (100, 1)


async def test_rotated_key_is_accepted_at_once(verifier: TokenVerifier, keys: KeyServer, clock: ManualClock) -> None:
    """A token signed with a key that appeared a moment ago is good, and so is one signed with the old key."""
    old = mint(keys.issuer)
    await verifier.verify(old)
    clock.advance(6)

    keys.issuer.rotate()
    new = mint(keys.issuer)

    assert await verifier.verify(new) == await verifier.verify(old)
    assert keys.fetches == 2


async def test_withdrawn_key_ends_its_tokens(verifier: TokenVerifier, keys: KeyServer, clock: ManualClock) -> None:
    """A key that its issuer no longer publishes is refused from the next fetch on, also for remembered tokens."""
    old = mint(keys.issuer)
    await verifier.verify(old)
    keys.issuer.rotate(keep_old=False)

    clock.advance(301)

    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier.verify(old)


async def test_flood_of_unknown_keys_reaches_the_issuer_once_per_cooldown(
    verifier: TokenVerifier, keys: KeyServer, clock: ManualClock
) -> None:
    """A thousand tokens with invented key ids cause one fetch, and one more after the cooldown."""
    await verifier.verify(mint(keys.issuer))
    clock.advance(6)

    first = await asyncio.gather(
        *(verifier.verify(invented(keys.issuer, n)) for n in range(500)), return_exceptions=True
    )
    after_first = keys.fetches
    clock.advance(6)
    second = await asyncio.gather(
        *(verifier.verify(invented(keys.issuer, n)) for n in range(500)), return_exceptions=True
    )

    assert {Unauthenticated} == {type(result) for result in first + second}
    assert (after_first, keys.fetches) == (2, 3)


async def test_flood_does_not_hold_up_good_tokens(verifier: TokenVerifier, keys: KeyServer) -> None:
    """While invented key ids are refused, known keys answer without a fetch."""
    good = mint(keys.issuer)
    await verifier.verify(good)

    with pytest.raises(Unauthenticated):
        await verifier.verify(invented(keys.issuer, 1))

    assert (await verifier.verify(good)).actor == "developer"
    assert keys.fetches == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((500, b""), id="error"),
        pytest.param((302, b""), id="redirect"),
        pytest.param((200, b"<html>"), id="not JSON"),
        pytest.param((200, b"[]"), id="not an object"),
        pytest.param((200, b'{"keys": []}'), id="no keys"),
        pytest.param((200, b'{"keys": [7, {"kid": "a"}, {"kid": "b", "kty": "EC"}]}'), id="no usable key"),
        pytest.param((200, b'{"keys": [{"kid": "a", "kty": "oct", "k": "c2VjcmV0"}]}'), id="a shared secret"),
    ],
)
async def test_without_any_keys_nobody_is_refused_nor_let_in(
    verifier: TokenVerifier, keys: KeyServer, clock: ManualClock, answer: tuple[int, bytes]
) -> None:
    """While no keys can be had the error is ours, with the time to come back; then the service recovers by itself."""
    keys.answers_instead = answer

    with pytest.raises(KeysUnavailable) as unavailable:
        await verifier.verify(mint(keys.issuer))

    assert unavailable.value.retry_after_seconds == 5
    keys.answers_instead = None
    clock.advance(5)
    assert (await verifier.verify(mint(keys.issuer))).actor == "developer"


async def test_issuer_that_is_down_at_start_is_asked_once_per_cooldown(
    keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock
) -> None:
    """A refused connection gives `KeysUnavailable` to all who wait, from one attempt."""
    verifier = TokenVerifier(settings_for(keys, jwks_url="http://127.0.0.1:9/jwks"), client, clock)

    results = await asyncio.gather(*(verifier.verify(mint(keys.issuer)) for _ in range(20)), return_exceptions=True)

    assert {KeysUnavailable} == {type(result) for result in results}


async def test_known_keys_serve_while_the_issuer_is_down(
    verifier: TokenVerifier, keys: KeyServer, clock: ManualClock
) -> None:
    """An issuer that fails after the start is not noticed for a day; then keys are too old to be trusted."""
    await verifier.verify(mint(keys.issuer))
    keys.answers_instead = (500, b"")

    clock.advance(86_000)
    assert (await verifier.verify(mint(keys.issuer, sub="later", exp=at(90_000)))).actor == "later"

    clock.advance(401)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(mint(keys.issuer, sub="too-late", exp=at(90_000)))


async def test_slow_issuer_is_given_up_at_the_deadline(
    keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock
) -> None:
    """An issuer that accepts the connection and says nothing costs one deadline, not a hanging request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/jwks"
        settings = settings_for(keys, jwks_timeout_seconds=0.1, jwks_url=url)

        with pytest.raises(KeysUnavailable):
            await asyncio.wait_for(TokenVerifier(settings, client, clock).verify(mint(keys.issuer)), timeout=2)


def invented(issuer: TokenIssuer, number: int) -> str:
    """Return a token whose key id nobody publishes."""
    return forge(issuer, {"alg": "ES256", "kid": f"invented-{number}"}, signature=bytes(64))
