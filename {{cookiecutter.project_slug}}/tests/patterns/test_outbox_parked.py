"""patterns/outbox/parked.py: an event that the broker will not take is put aside, and holds nobody up."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.db import DatabaseSettings, create_engine, transaction
from app.patterns.outbox import Relay, RelaySettings, parked
from app.patterns.outbox.relay import _Batch
from app.patterns.tenancy import JOBS_ROLE, USER_ROLE
from tests.support.eventually import eventually
from tests.support.log_lines import configured_log
from tests.support.outbox import Counted, an_event, attempts, given_events, parked_rows, relay_all, rows
from tests.support.recording_broker import RecordingBroker

QUICK = RelaySettings(retry_seconds=0.001, max_attempts=3)


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
def relay(engine: AsyncEngine, broker: RecordingBroker) -> Relay:
    return Relay(engine, broker, QUICK)


@pytest.fixture
async def jobs_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with the rights that the relay has."""
    engine = create_engine(DatabaseSettings.model_validate({"url": database_url}), application_name="t", role=JOBS_ROLE)
    yield engine
    await engine.dispose()


async def relay_until_parked(engine: AsyncEngine, relay: Relay, *, count: int = 1) -> None:
    """Make passes until so many events are parked."""

    async def is_parked() -> bool:
        await relay.relay_once()
        return len(await parked_rows(engine)) >= count

    await eventually(is_parked)


async def test_an_event_refused_too_often_is_parked_and_its_successors_flow_on(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """It is put aside with the reason and the number of refusals; what was behind it leaves in order."""
    bad = an_event("order.bad", "1", 1)
    await given_events(engine, bad, an_event("order.good", "1", 2), an_event("order.good", "1", 3))
    broker.refusals["order.bad"] = 99

    await relay_until_parked(engine, relay)
    await relay_all(relay)

    (row,) = await parked_rows(engine)
    assert (row.event_id, row.attempts, row.reason) == (bad.id, 3, "switched off by the test")
    assert (row.tenant_id, row.aggregate, row.type, row.envelope["data"]) == (
        "acme",
        "acme/orders/1",
        "order.bad",
        {"number": 1},
    )
    assert [event["data"]["number"] for event in broker.events] == [2, 3]
    assert await rows(engine) == 0


async def test_an_event_that_can_never_be_taken_is_parked_at_once(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """There is no use in asking again."""
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad"))

    await relay.relay_once()

    assert [(row.attempts, row.reason) for row in await parked_rows(engine)] == [(1, "never, says the test")]
    assert await rows(engine) == 0


async def test_before_its_last_refusal_an_event_is_not_parked(engine: AsyncEngine, broker: RecordingBroker) -> None:
    """One refusal is counted against it, and it waits for its next try."""
    broker.refusals["order.bad"] = 1
    await given_events(engine, an_event("order.bad"))

    await Relay(engine, broker, RelaySettings(max_attempts=2)).relay_once()

    assert await attempts(engine) == [("order.bad", 1)]
    assert await parked_rows(engine) == []


async def test_successors_wait_for_the_commit_of_the_parking(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """Published in the same pass they would come first, if the parking were rolled back."""
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad", "1"), an_event("order.good", "1"))

    await relay.relay_once()
    assert broker.types == []
    await relay.relay_once()

    assert broker.types == ["order.good"]


class LosesItsDatabase(Relay):
    """Does not get to its commit."""

    async def _settle(self, connection: AsyncConnection, batch: _Batch) -> None:
        await super()._settle(connection, batch)
        raise ConnectionResetError


async def test_parking_stands_or_falls_with_the_pass(engine: AsyncEngine, broker: RecordingBroker) -> None:
    """When the pass is rolled back the event is where it was: unparked, not counted as refused, and not told of."""
    counted = Counted("outbox_events_parked_total", reason="final")
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad", "1"), an_event("order.good", "2"))

    with pytest.raises(ConnectionResetError):
        await LosesItsDatabase(engine, broker, QUICK).relay_once()

    assert await attempts(engine) == [("order.bad", 0), ("order.good", 0)]
    assert await parked_rows(engine) == []
    assert counted.more == 0


async def test_a_parked_event_does_not_hold_the_floor_down(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay stops reading where the parked event was, as if it had been published."""
    monkeypatch.setattr("app.patterns.outbox.writer.LANES", 1)
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad"))
    await relay.relay_once()
    (row,) = await parked_rows(engine)

    async def has_passed_it() -> bool:
        await given_events(engine, an_event())
        await relay_all(relay)
        return relay.floors()[0] >= int(row.id)

    await eventually(has_passed_it)


async def test_parking_is_counted_told_and_shown(engine: AsyncEngine, relay: Relay, broker: RecordingBroker) -> None:
    """A counter, gauges of what waits and what is parked, and an error in the log that names the event, no data."""
    counted = Counted("outbox_events_parked_total", reason="final")
    broker.never = {"order.bad"}
    bad = an_event("order.bad", "1")
    await given_events(engine, bad, an_event("order.good", "1"))

    with configured_log() as log:
        await relay.relay_once()
        lines = [line for line in log.lines if line["event"] == "outbox.event_parked"]
    backlog = await relay.observe()

    assert [(line["level"], line["event_id"], line["attempts"], line["reason"]) for line in lines] == [
        ("error", str(bad.id), 1, "never, says the test")
    ]
    assert counted.more == 1
    assert (backlog.waiting, backlog.parked) == (1, 1)
    assert [REGISTRY.get_sample_value(name) for name in ("outbox_waiting_events", "outbox_parked_events")] == [1, 1]


async def test_replayed_events_leave_in_the_order_of_their_writing(
    engine: AsyncEngine, jobs_engine: AsyncEngine, broker: RecordingBroker
) -> None:
    """All at once, with the ids they had, as if never tried; the rights of the relay are enough for park and replay."""
    relay = Relay(jobs_engine, broker, QUICK)
    broker.never = {"order.bad"}
    events = [an_event("order.bad", "1", number) for number in range(5)]
    await given_events(engine, *events)
    await relay_until_parked(engine, relay, count=5)

    broker.never = set()
    async with transaction(jobs_engine) as session:
        replayed = await parked.replay(session, None, newest=await parked.newest(session))
    assert await attempts(engine) == [("order.bad", 0)] * 5
    await relay_all(relay)

    assert list(replayed) == [event.id for event in events]
    assert [message.id for message in broker.stored] == [str(event.id) for event in events]
    assert [event["id"] for event in broker.events] == [str(event.id) for event in events]
    assert await parked_rows(engine) == []


async def test_a_replay_of_all_leaves_what_was_parked_after_it_began(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """An event that is refused again at once would otherwise go round for as long as the command runs."""
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad"))
    await relay.relay_once()
    async with transaction(engine) as session:
        newest = await parked.newest(session)
        await parked.replay(session, None, newest=newest)
    await relay_until_parked(engine, relay)

    async with transaction(engine) as session:
        assert await parked.replay(session, None, newest=newest) == []


@pytest.mark.parametrize("table", ["outbox", "outbox_parked"])
async def test_a_request_sees_no_events(
    engine: AsyncEngine, database_url: str, relay: Relay, broker: RecordingBroker, table: str
) -> None:
    """The role of requests may not read either table: envelopes of all tenants are in there."""
    broker.never = {"order.bad"}
    await given_events(engine, an_event("order.bad"))
    await relay.relay_once()
    settings = DatabaseSettings.model_validate({"url": database_url})
    user_engine = create_engine(settings, application_name="test", role=USER_ROLE)

    with pytest.raises(ProgrammingError, match="permission denied"):
        async with user_engine.connect() as connection:
            await connection.execute(text(f"SELECT FROM {table}"))
    await user_engine.dispose()
