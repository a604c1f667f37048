"""patterns/inbox: what is delivered many times takes effect once, and in order. Real NATS, real PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError
from opentelemetry import trace
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit import context
from app.kit.ids import uuid7
from app.patterns.inbox import Consumer, ConsumerSettings, Handler, MalformedEvent, ReceivedEvent
from app.patterns.inbox.events import parse
from tests.support.eventually import eventually

Running = Callable[[Handler], AbstractAsyncContextManager[None]]


class Effects:
    """A handler that writes events down in the database, and fails as often as it is told."""

    def __init__(self) -> None:
        self.failures_left = 0
        self.seen: list[UUID] = []
        self.contexts: list[context.Context] = []
        self.trace_ids: list[str] = []

    async def __call__(self, session: AsyncSession, event: ReceivedEvent) -> None:
        """Let `event` take effect."""
        self.seen.append(event.id)
        self.contexts.append(context.current())
        self.trace_ids.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")
        await session.execute(text("INSERT INTO effects (id) VALUES (:id)"), {"id": event.id})
        if self.failures_left:
            self.failures_left -= 1
            raise RuntimeError("switched on by the test")


@pytest.fixture
async def effects(engine: AsyncEngine) -> Effects:
    async with engine.begin() as connection:
        await connection.execute(
            text("CREATE TABLE effects (number bigint GENERATED ALWAYS AS IDENTITY, id uuid NOT NULL)")
        )
    return Effects()


@pytest.fixture
async def stream(broker_url: str) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(broker_url)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="EVENTS", subjects=["events.>"]))
    yield stream
    await client.close()


@pytest.fixture
def running(engine: AsyncEngine, broker_url: str, stream: JetStreamContext) -> Running:  # noqa: ARG001 - made first
    @asynccontextmanager
    async def run(handler: Handler) -> AsyncIterator[None]:
        settings = ConsumerSettings(url=SecretStr(broker_url), ack_wait_seconds=2, retry_seconds=0.05)
        stop = asyncio.Event()
        consumer = Consumer("test", handler, subject="events.order.>", engine=engine, settings=settings)
        task = asyncio.create_task(consumer.run(stop))
        yield
        stop.set()
        await task

    return run


def an_envelope(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any attribute of an envelope
    """Return a CloudEvent with some attributes changed."""
    return {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": "/orders",
        "type": "order.placed",
        "subject": "1",
        "time": "2026-01-01T00:00:00+00:00",
        "data": {},
        **changes,
    }


async def deliver(stream: JetStreamContext, *envelopes: dict[str, Any] | bytes) -> list[UUID]:
    """Publish messages and return the ids of those that are events."""
    for envelope in envelopes:
        body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        await stream.publish("events.order.placed", body)
    return [UUID(envelope["id"]) for envelope in envelopes if isinstance(envelope, dict)]


async def in_effect(engine: AsyncEngine) -> list[UUID]:
    """Return the events that took effect, in order."""
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT id FROM effects ORDER BY number"))).scalars())


async def settled(stream: JetStreamContext) -> bool:
    """Tell whether every message has been acknowledged or given up."""
    try:
        info = await stream.consumer_info("EVENTS", "test")
    except NotFoundError:  # not yet made
        return False
    return (info.num_pending, info.num_ack_pending) == (0, 0)


async def test_an_event_takes_effect_and_is_acknowledged(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """The happy path."""
    async with running(effects):
        ids = await deliver(stream, an_envelope(), an_envelope())
        await eventually(lambda: len(effects.seen) == 2)
        await eventually(lambda: settled(stream))

    assert await in_effect(engine) == ids


async def test_an_event_delivered_twice_takes_effect_once(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """Two messages with one event id, as after a relay's crash past the broker's duplicate window."""
    envelope = an_envelope()
    async with running(effects):
        first, _, last = await deliver(stream, envelope, envelope, an_envelope())
        await eventually(lambda: last in effects.seen)

    assert await in_effect(engine) == [first, last]


async def test_a_failure_leaves_no_effect_and_the_event_comes_again(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """What the handler had written before it failed is rolled back, and so is the memory of the event."""
    effects.failures_left = 2
    async with running(effects):
        (event_id,) = await deliver(stream, an_envelope())
        await eventually(lambda: len(effects.seen) == 3)
        await eventually(lambda: settled(stream))

    assert await in_effect(engine) == [event_id]


async def test_events_behind_a_failing_one_wait(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """The stream's order is the order of the effects, also across failures."""
    effects.failures_left = 3
    async with running(effects):
        ids = await deliver(stream, *(an_envelope() for _ in range(5)))
        await eventually(lambda: ids[-1] in effects.seen)
        await eventually(lambda: settled(stream))

    assert await in_effect(engine) == ids


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(an_envelope(specversion="0.3"), id="another version"),
        pytest.param(an_envelope(id="1"), id="id of another kind"),
        pytest.param(an_envelope(data=[]), id="data of another kind"),
    ],
)
def test_what_is_no_cloudevent_is_told_from_a_failure(garbage: bytes | dict[str, Any]) -> None:
    """It will never parse, so delivering it again is pointless."""
    with pytest.raises(MalformedEvent):
        parse(garbage if isinstance(garbage, bytes) else json.dumps(garbage).encode())


async def test_a_malformed_message_does_not_block_the_stream(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """It is given up, and the next event takes effect."""
    async with running(effects):
        (event_id,) = await deliver(stream, b"garbage", an_envelope())
        await eventually(lambda: settled(stream))

    assert await in_effect(engine) == [event_id]


async def test_the_handler_works_in_the_events_context(
    stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """Trace, request id, tenant and actor go on where the producer left off."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    envelope = an_envelope(
        tenant="acme", actor="ann", requestid="a" * 32, traceparent=f"00-{trace_id}-b7ad6b7169203331-01"
    )
    async with running(effects):
        await deliver(stream, envelope)
        await eventually(lambda: effects.seen)

    assert effects.contexts == [context.Context(request_id="a" * 32, tenant="acme", actor="ann")]
    assert effects.trace_ids == [trace_id]


def test_what_names_the_work_is_no_text_of_a_customer() -> None:
    """A request id that was not generated is dropped, and an actor is redacted: both go into logs and spans."""
    event = parse(json.dumps(an_envelope(requestid="4111111111111111", actor="ann@mail.example")).encode())

    assert (event.requestid, event.actor) == ("", "[email]")


@pytest.mark.parametrize("attribute", ["type", "tenant"])
def test_a_name_that_no_code_gave_is_refused(attribute: str) -> None:
    """Types and tenants have a shape; the reason names the attribute and repeats nothing of it."""
    with pytest.raises(MalformedEvent, match=f"^wrong or missing: {attribute}$"):
        parse(json.dumps(an_envelope(**{attribute: "ann@mail.example"})).encode())


async def test_a_consumer_started_again_goes_on_where_it_stopped(
    engine: AsyncEngine, stream: JetStreamContext, effects: Effects, running: Running
) -> None:
    """Its place in the stream is the broker's to remember."""
    async with running(effects):
        first = await deliver(stream, an_envelope())
        await eventually(lambda: effects.seen == first)
    second = await deliver(stream, an_envelope())
    async with running(effects):
        await eventually(lambda: effects.seen == first + second)

    assert await in_effect(engine) == first + second
