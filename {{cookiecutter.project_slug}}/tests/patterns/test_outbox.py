"""patterns/outbox: an event leaves exactly when its transaction commits, and in order per aggregate.

The broker is one in memory with switches; tests/patterns/test_outbox_nats.py has the real one.
"""

import asyncio
import random
from collections import defaultdict

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.context import Context, bind
from app.kit.db import transaction
from app.patterns.outbox import BrokerUnavailable, Relay, RelaySettings, publish
from tests.support.eventually import eventually
from tests.support.outbox import an_event, given_events, relay_all, rows
from tests.support.recording_broker import RecordingBroker


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
def relay(engine: AsyncEngine, broker: RecordingBroker) -> Relay:
    return Relay(engine, broker, RelaySettings(retry_seconds=0.01))


async def test_a_committed_event_is_published_once_and_leaves_the_table(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """The happy path: one row in, one message out, no row left."""
    await given_events(engine, an_event())

    assert await relay.relay_once() == 1
    assert await relay.relay_once() == 0

    assert broker.types == ["order.placed"]
    assert await rows(engine) == 0


async def test_an_event_of_a_transaction_that_fails_is_never_published(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """The event and the change it announces stand or fall together."""

    async def fail() -> None:
        async with transaction(engine) as session:
            await publish(session, an_event())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await relay.relay_once() == 0
    assert broker.stored == []


async def test_the_message_is_a_cloudevent_that_carries_trace_and_request(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """Whoever consumes it can go on with the same trace, request id, tenant and actor."""
    span = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    event = an_event(number=7)
    with bind(Context(request_id="r-1", tenant="acme", actor="ann")), trace.use_span(NonRecordingSpan(span)):
        await given_events(engine, event)

    await relay.relay_once()

    (sent,) = broker.events
    assert sent == {
        "specversion": "1.0",
        "id": str(event.id),
        "source": "/orders",
        "type": "order.placed",
        "subject": "1",
        "time": event.time.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": "urn:schema:order.placed:1",
        "tenant": "acme",
        "actor": "ann",
        "requestid": "r-1",
        "traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01",
        "data": {"number": 7},
    }


@pytest.mark.parametrize("stored", [0, 2, 5])
async def test_when_the_broker_breaks_off_everything_is_sent_again(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, stored: int
) -> None:
    """However much of the batch had arrived, the rows stay; the broker drops what it has."""
    await given_events(engine, *(an_event(aggregate_id=str(number), number=number) for number in range(5)))
    broker.fail_after = stored

    with pytest.raises(BrokerUnavailable):
        await relay.relay_once()
    assert await rows(engine) == 5
    await relay_all(relay)

    assert sorted(event["data"]["number"] for event in broker.events) == [0, 1, 2, 3, 4]
    assert await rows(engine) == 0


async def test_a_refused_event_holds_back_its_own_aggregate_only(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """The events behind it wait for it, those of others do not, and the order survives."""
    await given_events(
        engine,
        an_event("order.bad", "1", 1),
        an_event("order.good", "1", 2),
        an_event("order.good", "2", 3),
    )
    broker.refusals["order.bad"] = 2

    await relay.relay_once()
    assert [event["data"]["number"] for event in broker.events] == [3]

    async def all_published() -> bool:
        await relay.relay_once()
        return await rows(engine) == 0

    await eventually(all_published)
    assert [event["data"]["number"] for event in broker.events] == [3, 1, 2]


async def test_an_event_that_arrives_behind_a_refused_one_waits_too(
    engine: AsyncEngine, broker: RecordingBroker
) -> None:
    """Holding back is not a matter of one batch."""
    relay = Relay(engine, broker, RelaySettings(retry_seconds=60))
    await given_events(engine, an_event("order.bad"))
    broker.refusals["order.bad"] = 1
    await relay.relay_once()

    await given_events(engine, an_event("order.good"))

    assert await relay.relay_once() == 0
    assert broker.stored == []


async def test_two_relays_share_the_work_and_keep_the_order(engine: AsyncEngine, broker: RecordingBroker) -> None:
    """Three relays and four writers at once: every event arrives once, in order per aggregate."""
    expected = 200
    relays = [Relay(engine, broker, RelaySettings(lanes_per_pass=4, events_per_lane=3)) for _ in range(3)]
    generator = random.Random(7)  # noqa: S311 - a seed makes a failure repeatable
    numbers: defaultdict[str, int] = defaultdict(int)

    async def write(aggregates: list[str]) -> None:
        for _ in range(expected // 4):
            aggregate_id = generator.choice(aggregates)
            numbers[aggregate_id] += 1
            await given_events(engine, an_event(aggregate_id=aggregate_id, number=numbers[aggregate_id]))

    async def relay_until_done(relay: Relay) -> None:
        while len(broker.stored) < expected:
            await relay.relay_once()

    async with asyncio.TaskGroup() as tasks:
        for writer in range(4):
            tasks.create_task(write([f"{writer}-{number}" for number in range(3)]))
        for relay in relays:
            tasks.create_task(relay_until_done(relay))

    arrived: defaultdict[str, list[int]] = defaultdict(list)
    for event in broker.events:
        arrived[event["subject"]].append(event["data"]["number"])
    assert dict(arrived) == {aggregate: list(range(1, last + 1)) for aggregate, last in numbers.items()}
    assert await rows(engine) == 0


async def test_a_lane_in_another_relays_hands_is_left_alone(engine: AsyncEngine, relay: Relay) -> None:
    """A claimed lane is skipped, not waited for."""
    await given_events(engine, an_event())

    async with engine.begin() as other:
        await other.execute(text("SELECT FROM outbox_lane FOR UPDATE"))
        assert await relay.relay_once() == 0

    assert await relay.relay_once() == 1


async def test_a_relay_survives_a_broker_that_fails(engine: AsyncEngine, broker: RecordingBroker) -> None:
    """The run goes on after a broken pass."""
    await given_events(engine, an_event())
    broker.fail_after = 0
    stop = asyncio.Event()
    running = asyncio.create_task(Relay(engine, broker, RelaySettings(poll_seconds=0.01)).run(stop))

    await eventually(lambda: broker.types == ["order.placed"])
    stop.set()
    await running

    assert await rows(engine) == 0


async def test_the_age_of_the_oldest_event_is_told(engine: AsyncEngine, relay: Relay) -> None:
    """The gauge behind the lag alert is zero when nothing waits and grows while something does."""
    assert (await relay.observe()).oldest_age_seconds == 0

    await given_events(engine, an_event())

    assert (await relay.observe()).oldest_age_seconds > 0
