"""patterns/outbox: the broker is down, slow, full, or refuses: what table, metrics and log say, and nothing is lost.

A real NATS server that the test stops, freezes, fills up and forbids things; docs/outbox.md has the same as a table.
"""

import asyncio
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import transaction
from app.patterns.outbox import BrokerSettings, NatsBroker, Relay, RelaySettings, parked
from dev.nats import Nats
from tests.support.eventually import eventually
from tests.support.log_lines import Log, configured_log
from tests.support.outbox import Counted, an_event, attempts, given_events, parked_rows, rows

NUMBERS = range(1, 6)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """Yield a server of the test's own."""
    server = Nats(tmp_path / "nats", more=allowed())
    server.start()
    yield server
    server.process.send(signal.SIGCONT)
    server.stop()


@pytest.fixture
def log() -> Iterator[Log]:
    """Yield the lines of the test."""
    with configured_log() as log:
        yield log


@dataclass
class Running:
    """A relay at work, and what is in the stream."""

    relay: Relay
    settings: BrokerSettings

    async def limit(self, *, free_bytes: int | None) -> None:
        """Give the stream room for so much more, or without end."""
        client = await nats.connect(self.settings.url.get_secret_value())
        info = await client.jetstream().stream_info("EVENTS")
        info.config.max_bytes = -1 if free_bytes is None else info.state.bytes + free_bytes
        await client.jetstream().update_stream(info.config)
        await client.close()

    async def stored(self) -> dict[str, list[int]]:
        """Return the numbers of the events in the stream, by aggregate and in the stream's order."""
        client = await nats.connect(self.settings.url.get_secret_value())
        stream = client.jetstream()
        last = (await stream.stream_info("EVENTS")).state.last_seq
        found: defaultdict[str, list[int]] = defaultdict(list)
        for number in range(1, last + 1):
            event = json.loads((await stream.get_msg("EVENTS", number)).data or b"")
            found[event["subject"]].append(event["data"]["number"])
        await client.close()
        return dict(found)


@asynccontextmanager
async def running(
    engine: AsyncEngine, server: Nats, *, max_attempts: int = 10, publish_timeout_seconds: float = 0.5
) -> AsyncIterator[Running]:
    """Run an eager relay until the block ends."""
    broker_settings = BrokerSettings(
        url=SecretStr(server.url("relay")),
        connect_timeout_seconds=1,
        publish_timeout_seconds=publish_timeout_seconds,
    )
    broker = NatsBroker(broker_settings)
    relay = Relay(engine, broker, RelaySettings(poll_seconds=0.02, retry_seconds=0.02, max_attempts=max_attempts))
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(stop))
    yield Running(relay, broker_settings)
    stop.set()
    await task
    await broker.close()


def allowed(*denied: str) -> dict[str, object]:
    """Return the configuration of an account that may publish everything but some subjects."""
    user = {"user": "relay", "password": "relay", "permissions": {"publish": {"allow": [">"], "deny": list(denied)}}}
    return {"accounts": {"relay": {"jetstream": "enabled", "users": [user]}}}


async def given_numbered(engine: AsyncEngine) -> None:
    """Commit numbered events of two aggregates, in turns."""
    await given_events(engine, *(an_event(aggregate_id=id_, number=number) for number in NUMBERS for id_ in ("1", "2")))


async def is_empty(engine: AsyncEngine) -> bool:
    """Tell whether nothing waits any more."""
    return await rows(engine) == 0


def told(log: Log, event: str) -> list[dict[str, Any]]:
    """Return the lines of one event."""
    return [line for line in log.lines if line["event"] == event]


IN_ORDER = {"1": list(NUMBERS), "2": list(NUMBERS)}


async def test_down_events_wait_and_leave_in_order_when_it_is_back(engine: AsyncEngine, server: Nats, log: Log) -> None:
    """Passes fail for the reason `broker`, no event is blamed, the backlog and its age are told."""
    failures = Counted("outbox_pass_failures_total", reason="broker")
    server.kill()
    async with running(engine, server) as world:
        await given_numbered(engine)
        await eventually(lambda: len(told(log, "outbox.pass_failed")) >= 2)
        backlog = await world.relay.observe()
        waiting = await attempts(engine)
        server.start()
        await eventually(lambda: is_empty(engine), within_seconds=20)

        assert await world.stored() == IN_ORDER
    assert {(line["level"], line["reason"]) for line in told(log, "outbox.pass_failed")} == {("warning", "broker")}
    assert failures.more >= 2
    assert waiting == [("order.placed", 0)] * 10
    assert (backlog.waiting, backlog.parked, backlog.oldest_age_seconds > 0) == (10, 0, True)


async def test_slow_acknowledgements_in_time_only_take_longer(engine: AsyncEngine, server: Nats, log: Log) -> None:
    """Frozen while it has the messages, and then awake: one long publish, no failure."""
    slow = Counted("outbox_publish_duration_seconds_count")
    async with running(engine, server, publish_timeout_seconds=30) as world:
        await given_events(engine, an_event(number=0))
        await eventually(lambda: is_empty(engine))
        server.process.send(signal.SIGSTOP)
        await given_events(engine, an_event(number=1))
        await eventually(lambda: some_lane_is_claimed(engine), every_seconds=0.001)
        server.process.send(signal.SIGCONT)
        await eventually(lambda: is_empty(engine))

        assert await world.stored() == {"1": [0, 1]}
    assert told(log, "outbox.pass_failed") == []
    assert slow.more == 2


async def test_slower_than_the_timeout_is_as_good_as_down(engine: AsyncEngine, server: Nats, log: Log) -> None:
    """It may have stored what it did not acknowledge: everything is sent again, and the stream has it once."""
    repeated = Counted("outbox_messages_published_total", duplicate="true")
    async with running(engine, server) as world:
        await given_events(engine, an_event(aggregate_id="0"))
        await eventually(lambda: is_empty(engine))
        server.process.send(signal.SIGSTOP)
        await given_numbered(engine)
        await eventually(lambda: told(log, "outbox.pass_failed"))
        waiting = await attempts(engine)
        server.process.send(signal.SIGCONT)
        await eventually(lambda: is_empty(engine), within_seconds=20)

        assert await world.stored() == {"0": [0], **IN_ORDER}
    assert {line["reason"] for line in told(log, "outbox.pass_failed")} == {"broker"}
    assert waiting == [("order.placed", 0)] * 10
    assert repeated.more >= 1


async def test_full_events_wait_and_none_is_blamed(engine: AsyncEngine, server: Nats, log: Log) -> None:
    """Passes fail for the reason `broker_full`; however often, nothing is parked, and the order is kept."""
    failures = Counted("outbox_pass_failures_total", reason="broker_full")
    async with running(engine, server, max_attempts=1) as world:
        await given_events(engine, an_event(aggregate_id="0"))
        await eventually(lambda: is_empty(engine))
        await world.limit(free_bytes=10)
        await given_numbered(engine)
        await eventually(lambda: len(told(log, "outbox.pass_failed")) >= 3)
        waiting, nothing = await attempts(engine), await parked_rows(engine)
        await world.limit(free_bytes=None)
        await eventually(lambda: is_empty(engine), within_seconds=20)

        assert await world.stored() == {"0": [0], **IN_ORDER}
    (line, *_) = told(log, "outbox.pass_failed")
    assert (line["level"], line["reason"], line["error"]) == ("warning", "broker_full", "maximum bytes exceeded")
    assert failures.more >= 3
    assert (waiting, nothing) == ([("order.placed", 0)] * 10, [])


async def test_refusing_for_a_while_keeps_the_order(engine: AsyncEngine, server: Nats, log: Log) -> None:
    """What the account may not publish waits with its aggregate, all others flow; allowed again, it leaves first."""
    forbid(server, "events.order.bad")
    refusals = Counted("outbox_publish_failures_total")
    async with running(engine, server, max_attempts=1000) as world:
        await given_events(
            engine, an_event("order.bad", "1", 1), an_event("order.good", "1", 2), an_event("x.y", "2", 3)
        )
        await eventually(lambda: len(told(log, "outbox.event_refused")) >= 2)
        await eventually(lambda: has_left(engine, "x.y"))
        waiting = await attempts(engine)
        forbid(server)
        await eventually(lambda: is_empty(engine), within_seconds=30)

        assert await world.stored() == {"1": [1, 2], "2": [3]}
    assert {(line["level"], line["reason"]) for line in told(log, "outbox.event_refused")} == {
        ("error", "the broker's permissions deny the subject")
    }
    assert refusals.more >= 2
    assert [type_ for type_, _ in waiting] == ["order.bad", "order.good"]
    assert waiting[0][1] >= 1


async def test_refusing_to_the_end_parks_the_event_and_a_replay_brings_it(
    engine: AsyncEngine, server: Nats, log: Log
) -> None:
    """Its successor no longer waits, so after a replay it comes behind it: nothing is lost, its place is."""
    forbid(server, "events.order.bad")
    counted = Counted("outbox_events_parked_total", reason="refused")
    async with running(engine, server, max_attempts=2) as world:
        await given_events(engine, an_event("order.bad", "1", 1), an_event("order.good", "1", 2))
        await eventually(lambda: is_empty(engine))
        (row,) = await parked_rows(engine)
        forbid(server)
        async with transaction(engine) as session:
            await parked.replay(session, [row.event_id], newest=row.id)
        await eventually(lambda: is_empty(engine), within_seconds=30)

        assert await world.stored() == {"1": [2, 1]}
    assert (row.type, row.attempts, row.reason) == ("order.bad", 2, "the broker's permissions deny the subject")
    assert [line["event_id"] for line in told(log, "outbox.event_parked")] == [str(row.event_id)]
    assert counted.more == 1


def forbid(server: Nats, *subjects: str) -> None:
    """Deny the relay's account these subjects and no others."""
    server.more = allowed(*subjects)
    server.restart()


async def has_left(engine: AsyncEngine, type_: str) -> bool:
    """Tell whether no event of this type waits."""
    return type_ not in {waiting for waiting, _ in await attempts(engine)}


async def some_lane_is_claimed(engine: AsyncEngine) -> bool:
    """Tell whether a relay holds a lane right now."""
    async with engine.begin() as connection:
        free = await connection.execute(text("SELECT lane FROM outbox_lane FOR UPDATE SKIP LOCKED"))
        return len(free.all()) < 64
