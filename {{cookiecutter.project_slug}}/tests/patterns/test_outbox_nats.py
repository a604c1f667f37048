"""patterns/outbox/jetstream.py against a real NATS server."""

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import transaction
from app.patterns.outbox import (
    Acknowledged,
    BrokerSettings,
    BrokerUnavailable,
    Event,
    Full,
    Message,
    NatsBroker,
    Refused,
    Relay,
    RelaySettings,
    publish,
)
from dev.nats import Nats
from tests.support.eventually import eventually
from tests.support.log_lines import configured_log


@pytest.fixture
def settings(broker_url: str) -> BrokerSettings:
    return BrokerSettings(url=SecretStr(broker_url))


@pytest.fixture
async def broker(settings: BrokerSettings) -> AsyncIterator[NatsBroker]:
    broker = NatsBroker(settings)
    yield broker
    await broker.close()


def a_message(number: int, *, size: int = 10) -> Message:
    """Return a message whose id is its number."""
    return Message(id=f"id-{number}", type="order.placed", body=b"x" * size)


async def stored(settings: BrokerSettings) -> list[str]:
    """Return the ids of the stream's messages, in its order."""
    client = await nats.connect(settings.url.get_secret_value())
    try:
        stream = client.jetstream()
        count = (await stream.stream_info(settings.stream)).state.messages
        messages = [await stream.get_msg(settings.stream, number) for number in range(1, count + 1)]
        return [(message.headers or {})["Nats-Msg-Id"] for message in messages]
    finally:
        await client.close()


async def test_messages_are_stored_in_the_order_given(broker: NatsBroker, settings: BrokerSettings) -> None:
    """A batch is pipelined, and still arrives as it was handed over; the stream is created on the way."""
    outcomes = await broker.publish([a_message(number) for number in range(100)])

    assert outcomes == [Acknowledged(duplicate=False)] * 100
    assert await stored(settings) == [f"id-{number}" for number in range(100)]


async def test_a_message_sent_again_is_stored_once(broker: NatsBroker, settings: BrokerSettings) -> None:
    """The broker recognises an id within its duplicate window, and says so."""
    await broker.publish([a_message(1)])

    assert await broker.publish([a_message(1)]) == [Acknowledged(duplicate=True)]
    assert await stored(settings) == ["id-1"]


async def test_a_message_over_the_brokers_limit_is_refused_alone(broker: NatsBroker, settings: BrokerSettings) -> None:
    """The others of the batch are stored."""
    outcomes = await broker.publish([a_message(1), a_message(2, size=2_000_000), a_message(3)])

    assert outcomes == [
        Acknowledged(duplicate=False),
        Refused("larger than the broker's max_payload", final=True),
        Acknowledged(duplicate=False),
    ]
    assert await stored(settings) == ["id-1", "id-3"]


async def test_headers_count_towards_the_brokers_limit(broker: NatsBroker, settings: BrokerSettings) -> None:
    """The server would close the connection over such a message each time, and nothing else would get through."""
    limit = 1_048_576
    outcomes = await broker.publish([a_message(1), a_message(2, size=limit - 20), a_message(3, size=limit - 500)])

    assert [type(outcome) for outcome in outcomes] == [Acknowledged, Refused, Acknowledged]
    assert await stored(settings) == ["id-1", "id-3"]


async def test_a_type_that_makes_no_subject_is_refused_alone(broker: NatsBroker, settings: BrokerSettings) -> None:
    """It is the message's fault, and no outage."""
    outcomes = await broker.publish([Message("id-0", "order placed", b""), a_message(1)])

    assert outcomes == [Refused("'order placed' makes no subject", final=True), Acknowledged(duplicate=False)]
    assert await stored(settings) == ["id-1"]


async def test_a_message_over_the_streams_limit_is_refused_for_good(
    broker: NatsBroker, settings: BrokerSettings
) -> None:
    """The server's own answer names the message as the fault."""
    client = await nats.connect(settings.url.get_secret_value())
    await client.jetstream().add_stream(name=settings.stream, subjects=["events.>"], max_msg_size=200)
    await client.close()

    outcomes = await broker.publish([a_message(1), a_message(2, size=300)])

    assert outcomes == [
        Acknowledged(duplicate=False),
        Refused("message size exceeds maximum allowed", final=True),
    ]


async def test_a_stream_that_is_made_forgets_by_age_alone(broker: NatsBroker, settings: BrokerSettings) -> None:
    """What nobody has read yet makes no room for what is new, and nothing is kept beyond what the inbox remembers."""
    await broker.open()

    client = await nats.connect(settings.url.get_secret_value())
    config = (await client.jetstream().stream_info(settings.stream)).config
    await client.close()
    assert (config.max_age, config.discard) == (6 * 86_400, "new")


async def test_a_stream_that_keeps_events_for_longer_is_told_of(broker: NatsBroker, settings: BrokerSettings) -> None:
    """It is somebody else's and stays as it is; the inbox may forget what it could still deliver."""
    client = await nats.connect(settings.url.get_secret_value())
    await client.jetstream().add_stream(name=settings.stream, subjects=["events.>"])
    await client.close()

    with configured_log() as log:
        await broker.open()

        assert [line["event"] for line in log.lines] == ["outbox.stream_keeps_longer"]


async def test_a_full_stream_says_nothing_about_the_message(broker: NatsBroker, settings: BrokerSettings) -> None:
    """A stream that discards new messages answers for each of them; that is no outage, and no refusal either."""
    client = await nats.connect(settings.url.get_secret_value())
    await client.jetstream().add_stream(
        name=settings.stream, subjects=[f"{settings.subject_prefix}.>"], max_msgs=1, discard="new"
    )
    await client.close()

    outcomes = await broker.publish([a_message(1), a_message(2)])

    assert outcomes == [Acknowledged(duplicate=False), Full("maximum messages exceeded")]


async def test_a_stream_that_disappears_is_an_outage_and_comes_back(
    broker: NatsBroker, settings: BrokerSettings
) -> None:
    """The first try tells that nobody stores the subject; the next one makes the stream again."""
    await broker.publish([a_message(1)])
    client = await nats.connect(settings.url.get_secret_value())
    await client.jetstream().delete_stream(settings.stream)
    await client.close()

    with pytest.raises(BrokerUnavailable):
        await broker.publish([a_message(2)])
    await broker.publish([a_message(2)])

    assert await stored(settings) == ["id-2"]


async def test_an_unreachable_broker_is_an_outage() -> None:
    """Nobody listens: neither opening nor publishing leaves a doubt."""
    broker = NatsBroker(BrokerSettings(url=SecretStr("nats://127.0.0.1:1"), connect_timeout_seconds=0.5))

    with pytest.raises(BrokerUnavailable):
        await broker.open()
    with pytest.raises(BrokerUnavailable):
        await broker.publish([a_message(1)])


async def test_a_broker_that_went_away_while_nothing_was_sent_is_noticed(tmp_path: Path) -> None:
    """An idle relay asks before it claims anything."""
    server = Nats(tmp_path / "nats")
    server.start()
    broker = NatsBroker(BrokerSettings(url=SecretStr(server.url()), connect_timeout_seconds=0.5))
    await broker.open()
    server.kill()

    async def noticed() -> bool:
        try:
            await broker.open()
        except BrokerUnavailable:
            return True
        return False

    await eventually(noticed)


async def test_the_relay_delivers_across_a_broker_restart(engine: AsyncEngine, tmp_path: Path) -> None:
    """Killed and started again, the broker has each event once: those it had, and those it missed."""
    server = Nats(tmp_path / "nats")
    server.start()
    try:
        settings = BrokerSettings(url=SecretStr(server.url()), connect_timeout_seconds=0.5, publish_timeout_seconds=2)
        broker = NatsBroker(settings)
        relay = Relay(engine, broker, RelaySettings())
        first = await given_event(engine)
        await relay.relay_once()

        server.kill()
        second = await given_event(engine)
        with pytest.raises(BrokerUnavailable):
            await relay.relay_once()
        server.start()
        await relay.relay_once()

        assert await stored(settings) == [first, second]
        await broker.close()
    finally:
        server.stop()


async def test_a_relay_that_dies_between_publishing_and_marking_repeats_itself_unnoticed(
    engine: AsyncEngine, broker: NatsBroker, settings: BrokerSettings
) -> None:
    """The next relay sends the event again, and the broker drops it."""
    event_id = await given_event(engine)
    async with engine.connect() as connection:
        body = await connection.scalar(text("SELECT envelope::text FROM outbox"))
    await broker.publish([Message(event_id, "order.placed", str(body).encode())])  # and here it dies

    assert await Relay(engine, broker, RelaySettings()).relay_once() == 1

    assert await stored(settings) == [event_id]


async def given_event(engine: AsyncEngine) -> str:
    """Commit one event and return its id."""
    event = Event(type="order.placed", source="/orders", aggregate_id="1", tenant="acme", data={})
    async with transaction(engine) as session:
        await publish(session, event)
    return str(event.id)
