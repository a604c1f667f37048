"""patterns/outbox: slow transactions do not lose their place. See positions.py for why they could."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine, transaction
from app.patterns.outbox import Event, Relay, RelaySettings, publish
from app.patterns.outbox.models import LANES
from dev.postgres import PostgreSQL
from tests.conftest import migrate
from tests.support.eventually import eventually
from tests.support.outbox import an_event, given_events, relay_all, rows
from tests.support.recording_broker import RecordingBroker


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on a server of its own: other transactions would hide what depends on the newest ids."""
    server = PostgreSQL(tmp_path / "postgres", durable=False)
    server.start()
    await migrate(server.url())
    engine = create_engine(DatabaseSettings.model_validate({"url": server.url()}), application_name="test")
    yield engine
    await engine.dispose()
    server.stop()


@pytest.fixture
def relay(engine: AsyncEngine, broker: RecordingBroker) -> Relay:
    return Relay(engine, broker, RelaySettings())


async def test_an_event_of_a_slow_transaction_is_not_overtaken_by_its_successor(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker
) -> None:
    """Ids are taken before they are committed: a relay that trusted them alone would skip the slow one."""
    async with uncommitted(engine, an_event("slow", "1")) as commit:
        for number in range(5):  # others go by, so the relay's idea of the lane moves on
            await given_events(engine, an_event("fast", f"same-lane-{number}"))
            await relay_all(relay)
        await commit()
    await given_events(engine, an_event("successor", "1"))
    await relay_all(relay)

    assert [type_ for type_ in broker.types if type_ != "fast"] == ["slow", "successor"]


async def test_a_slow_transaction_in_the_same_lane_keeps_the_floor_down(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with every aggregate in one lane, where the ids around the slow one have long been published."""
    monkeypatch.setattr("app.patterns.outbox.writer.LANES", 1)
    async with uncommitted(engine, an_event("slow", "1")) as commit:
        for number in range(5):
            await given_events(engine, an_event("fast", str(number + 2)))
            await relay_all(relay)
        await commit()
    await given_events(engine, an_event("successor", "1"))
    await relay_all(relay)

    assert [type_ for type_ in broker.types if type_ != "fast"] == ["slow", "successor"]
    assert await rows(engine) == 0


async def test_a_transaction_above_the_last_one_that_ended_is_waited_for(alone: AsyncEngine) -> None:
    """A snapshot's upper bound does not know it: the relay that trusted that one would leave the event for ever."""
    broker = RecordingBroker()
    relay = Relay(alone, broker, RelaySettings(lanes_per_pass=LANES))
    async with transaction(alone) as fast:
        await fast.execute(text("SELECT pg_current_xact_id()"))  # an older transaction than the slow one
        slow = uncommitted(alone, an_event("slow", "1"))
        commit = await slow.__aenter__()
        await publish(fast, an_event("fast", "1"))
    await relay_all(relay)
    await given_events(alone, an_event("later", "1"))
    await relay_all(relay)
    await commit()
    await slow.__aexit__(None, None, None)
    await relay_all(relay)

    assert sorted(broker.types) == ["fast", "later", "slow"]
    assert await rows(alone) == 0


async def test_the_floor_rises_as_events_are_published(
    engine: AsyncEngine, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without long transactions a relay soon stops reading where it has been."""
    monkeypatch.setattr("app.patterns.outbox.writer.LANES", 1)

    async def has_risen() -> bool:
        await given_events(engine, an_event())
        await relay_all(relay)
        return relay.floors()[0] > 0

    await eventually(has_risen)  # transaction ids are the server's, and other tests have transactions too


async def test_a_refused_event_with_many_behind_it_holds_up_its_own_aggregate_alone(
    engine: AsyncEngine, broker: RecordingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait for it, more than a pass reads: the others of its lane leave, and nothing overtakes it."""
    monkeypatch.setattr("app.patterns.outbox.writer.LANES", 1)
    relay = Relay(engine, broker, RelaySettings(events_per_lane=2, retry_seconds=3600, retry_max_seconds=3600))
    broker.refusals["refused"] = 1
    await given_events(engine, an_event("refused", "1"), *(an_event("behind", "1") for _ in range(5)))
    await relay.relay_once()
    for _ in range(3):  # passes that could raise the floor
        await given_events(engine, an_event("free", "2"))
        await relay_all(relay)

    assert broker.types == ["free"] * 3
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET not_before = clock_timestamp() WHERE type = 'refused'"))
    await relay_all(relay)
    assert broker.types == ["free"] * 3 + ["refused"] + ["behind"] * 5
    assert await rows(engine) == 0


async def test_a_transaction_has_its_id_before_the_row_takes_its_own(engine: AsyncEngine) -> None:
    """What positions.py rests on: the column with the transaction's id is computed first, so it stands first."""
    first = text("SELECT attname FROM pg_attribute WHERE attrelid = 'outbox'::regclass AND attnum = 1")
    async with engine.connect() as connection:
        assert await connection.scalar(first) == "transaction_id"


@asynccontextmanager
async def uncommitted(engine: AsyncEngine, event: Event) -> AsyncIterator["Commit"]:
    """Publish `event` in a transaction that stays open until the yielded function is called."""
    finish = asyncio.Event()
    written = asyncio.Event()

    async def write() -> None:
        async with transaction(engine) as session:
            await publish(session, event)
            written.set()
            await finish.wait()

    task = asyncio.create_task(write())
    await written.wait()
    yield Commit(finish, task)
    await task


class Commit:
    """Ends the open transaction when called."""

    def __init__(self, finish: asyncio.Event, task: asyncio.Task[None]) -> None:
        self._finish = finish
        self._task = task

    async def __call__(self) -> None:
        self._finish.set()
        await self._task
