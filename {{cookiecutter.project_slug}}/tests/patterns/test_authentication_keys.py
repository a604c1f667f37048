"""The issuer's keys, over a socket: rotation, floods, and an issuer that is slow, wrong or down."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.kit.clock import ManualClock
from app.patterns.authentication import KeysUnavailable, TokenVerifier, Unauthenticated
from dev.token_issuer import TokenIssuer
from tests.support.key_server import KeyServer, at, forge, mint, serving_keys, settings_for


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
