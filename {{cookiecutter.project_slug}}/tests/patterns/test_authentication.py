"""Tokens: each rule of RFC 8725 accepts its last good value and refuses the first bad one."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.kit.clock import ManualClock
from app.patterns.authentication import Principal, TokenVerifier, Unauthenticated
from dev.token_issuer import SigningKey, TokenIssuer
from tests.support.key_server import (
    AUDIENCE,
    KeyServer,
    at,
    encoded,
    forge,
    good_claims,
    mint,
    serving_keys,
    settings_for,
)


@pytest.fixture(scope="module")
def key_server() -> Iterator[KeyServer]:
    """Yield one socket for the whole file."""
    with serving_keys() as server:
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


def signed(issuer: TokenIssuer, payload: bytes) -> str:
    """Return a token with a good signature over whatever bytes."""
    return jwt.PyJWS().encode(payload, issuer.keys[0].private, "ES256", {"kid": issuer.keys[0].kid})


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


async def test_subject_that_tells_who_it_is_becomes_a_pseudonym(
    keys: KeyServer, client: httpx.AsyncClient, clock: ManualClock
) -> None:
    """An e-mail address as `sub` becomes the same digits wherever the key is the same, and others elsewhere."""
    verifiers = [
        TokenVerifier(settings_for(keys, pseudonym_key=key), client, clock)
        for key in ("key-of-the-fleet-1", "key-of-the-fleet-1", "key-of-the-fleet-2", None, None)
    ]

    ann, again, elsewhere, here, there = [
        (await verifier.verify(mint(keys.issuer, sub="ann@mail.example"))).actor for verifier in verifiers
    ]

    assert re.fullmatch(r"[0-9a-f]{32}", ann)
    assert ann == again
    assert len({ann, elsewhere, here, there}) == 4


async def test_two_people_have_two_pseudonyms(verifier: TokenVerifier, keys: KeyServer) -> None:
    """Pseudonyms tell people apart, and one person is the same in each of their tokens."""
    subjects = ("ann@mail.example", "bob@mail.example", "ann@mail.example")

    ann, bob, again = [(await verifier.verify(mint(keys.issuer, sub=sub, jti=sub))).actor for sub in subjects]

    assert ann == again != bob


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
