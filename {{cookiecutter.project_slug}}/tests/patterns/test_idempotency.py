"""patterns/idempotency: what is done under a key is done once, whoever dies, waits or comes late."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit import context
from app.kit.clock import ManualClock
from app.kit.db import create_engine, transaction
from app.patterns.idempotency import IdempotencyKeyReused, RequestInFlight
from app.patterns.idempotency.once import AnsweredBefore, KeyedOnce
from app.patterns.tenancy import USER_ROLE
from tests.support.idempotency import SETTINGS, begin, begun, database, finish, key, once


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def user(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that acts as a request does."""
    engine = create_engine(database(database_url), application_name="test", role=USER_ROLE)
    yield engine
    await engine.dispose()


async def test_the_second_request_gets_the_answer_of_the_first(user: AsyncEngine, clock: ManualClock) -> None:
    """Status, headers and body are what the first one was answered with."""
    first = once(clock)
    assert await begin(user, first) is None
    await finish(user, first)

    with pytest.raises(AnsweredBefore) as before:
        await begin(user, once(clock))

    answer = before.value.answer
    assert first.answer is not None
    assert (answer.status_code, answer.body) == (201, b"made")
    assert answer.headers == first.answer.headers


async def test_a_retry_does_not_wait_for_the_first_transaction(user: AsyncEngine, clock: ManualClock) -> None:
    """While the first request's transaction is open, a second one is told so at once; it would wait for ever here."""
    async with begun(user) as session:
        await once(clock).begin(session, "thing-1")

        with pytest.raises(RequestInFlight) as refused:
            await begin(user, once(clock))

    assert refused.value.retry_after_seconds == 1


async def test_a_retry_does_not_wait_for_the_last_transaction(user: AsyncEngine, clock: ManualClock) -> None:
    """The same while the answer is being written: a server that hangs there holds up nobody."""
    first = once(clock)
    await begin(user, first)
    async with begun(user) as session:
        await first.finish(session, "made")

        with pytest.raises(RequestInFlight):
            await begin(user, once(clock))


async def test_work_that_failed_before_its_first_commit_leaves_nothing(user: AsyncEngine, clock: ManualClock) -> None:
    """The row is part of the work's transaction: rolled back with it, and the retry is the first one."""
    async with begun(user) as session:
        await once(clock).begin(session, "thing-1")
        await session.rollback()

    assert await begin(user, once(clock), "thing-2") is None


async def test_a_dead_request_holds_its_key_for_a_while_only(user: AsyncEngine, clock: ManualClock) -> None:
    """After that a retry is told what had been made, and makes nothing; its answer counts from then on."""
    await begin(user, once(clock), "thing-1")
    clock.advance(SETTINGS.in_flight_seconds - 0.1)
    with pytest.raises(RequestInFlight):
        await begin(user, once(clock), "thing-2")
    clock.advance(0.1)

    retry = once(clock)
    assert await begin(user, retry, "thing-3") == "thing-1"
    await finish(user, retry)

    with pytest.raises(AnsweredBefore):
        await begin(user, once(clock))


async def test_a_released_key_need_not_be_waited_for(user: AsyncEngine, clock: ManualClock) -> None:
    """Work that ended without a final answer says so, and the next request looks at what there is."""
    first = once(clock)
    await begin(user, first)
    async with begun(user) as session:
        await first.release(session)

    assert await begin(user, once(clock)) == "thing-1"


async def test_the_first_answer_stays(user: AsyncEngine, clock: ManualClock) -> None:
    """A request that was taken for dead and answers after its retry changes nothing."""
    slow = once(clock)
    await begin(user, slow)
    clock.advance(SETTINGS.in_flight_seconds)
    retry = once(clock)
    await begin(user, retry)
    await finish(user, retry, "by the retry")
    await finish(user, slow, "too late")

    with pytest.raises(AnsweredBefore) as before:
        await begin(user, once(clock))

    assert before.value.answer.body == b"by the retry"


@pytest.mark.parametrize("answers", [["made"], []], ids=["answered", "in flight"])
async def test_a_key_with_another_content_is_refused(user: AsyncEngine, clock: ManualClock, answers: list[str]) -> None:
    """Whether the first request is answered or not."""
    first = once(clock)
    await begin(user, first)
    for answer in answers:
        await finish(user, first, answer)

    with pytest.raises(IdempotencyKeyReused):
        await begin(user, once(clock, key(body=b'{"a": 1}')))


async def test_a_key_past_its_time_is_new_again(user: AsyncEngine, clock: ManualClock) -> None:
    """Also for another content, and also before anybody has deleted it; nothing of the old answer is left."""
    first = once(clock)
    await begin(user, first)
    await finish(user, first)
    clock.advance(24 * 3600)

    second = once(clock, key(body=b'{"a": 1}'))
    assert await begin(user, second, "thing-2") is None
    clock.advance(SETTINGS.in_flight_seconds)

    assert await begin(user, once(clock, key(body=b'{"a": 1}'))) == "thing-2"


async def test_outcomes_are_counted(user: AsyncEngine, clock: ManualClock) -> None:
    """Each request with a key counts once, by what was known about the key, and its log line tells the same."""
    outcomes = ("new", "replayed", "in_flight", "mismatch", "resumed")
    before = {outcome: counted(outcome) for outcome in outcomes}
    first = once(clock)
    told = [await told_by(user, first)]
    told.append(await told_by(user, once(clock)))
    told.append(await told_by(user, once(clock, key(body=b"1"))))
    clock.advance(SETTINGS.in_flight_seconds)
    told.append(await told_by(user, once(clock)))
    await finish(user, first)
    told.append(await told_by(user, once(clock)))

    assert told == ["new", "in_flight", "mismatch", "resumed", "replayed"]
    assert {outcome: counted(outcome) - before[outcome] for outcome in outcomes} == dict.fromkeys(outcomes, 1)


async def told_by(engine: AsyncEngine, request: KeyedOnce[str]) -> str:
    """Begin a request, and return what its context was told."""
    with context.bind(context.Context(tenant="acme")) as work:
        try:
            async with transaction(engine) as session:
                await request.begin(session, "thing-1")
        except (RequestInFlight, IdempotencyKeyReused, AnsweredBefore):
            pass
        return work.tally.idempotency


def counted(outcome: str) -> float:
    """Return how many requests had this outcome."""
    return REGISTRY.get_sample_value("idempotency_requests_total", {"outcome": outcome}) or 0
