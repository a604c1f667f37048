"""patterns/outbox/wakeup.py: a commit wakes the relay, and a lost signal costs time only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.outbox import Notifier, Relay, RelaySettings
from tests.support.eventually import eventually
from tests.support.outbox import an_event, given_events
from tests.support.recording_broker import RecordingBroker


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


class IdleRelay(Relay):
    """Tells how often it had nothing to do."""

    idle = 0

    async def _pause(self, stop: asyncio.Event) -> None:
        self.idle += 1
        await super()._pause(stop)


@asynccontextmanager
async def idle_relay(engine: AsyncEngine, broker: RecordingBroker) -> AsyncIterator[IdleRelay]:
    """Run a relay that would look again only after a minute, and yield once it is waiting."""
    stop = asyncio.Event()
    relay = IdleRelay(engine, broker, RelaySettings(poll_seconds=60))
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: relay.idle == 2)  # once at the start, once more when it listens
    yield relay
    stop.set()
    await running


async def test_a_commit_wakes_the_relay(engine: AsyncEngine, broker: RecordingBroker) -> None:
    """With a poll interval of a minute the event still leaves at once."""
    async with idle_relay(engine, broker), Notifier(engine):
        await given_events(engine, an_event())

        await eventually(lambda: broker.types == ["order.placed"])


async def test_a_relay_that_could_not_listen_for_a_while_looks_again(
    engine: AsyncEngine, broker: RecordingBroker
) -> None:
    """Notifications sent while its connection was broken are lost; it makes up for them when it is back."""
    async with idle_relay(engine, broker):
        async with engine.connect() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            )
        await given_events(engine, an_event())

        await eventually(lambda: broker.types == ["order.placed"])
