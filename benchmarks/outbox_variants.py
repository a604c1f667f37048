"""The relay that is measured, and relays with a known mistake: a proof that these pass too would prove nothing."""

import asyncio
import time
import zlib
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.outbox import Acknowledged, Broker, Message, Refused, Relay, RelaySettings
from app.patterns.outbox.positions import LanePositions

_REFUSED_ONE_IN = 50
_REFUSED_SECONDS = 1.5  # longer than anything that a relay could wait for by chance


class NoFloor(Relay):
    """Reads each lane from its beginning, over all rows that vacuum may not remove yet."""

    def __init__(self, engine: AsyncEngine, broker: Broker, settings: RelaySettings) -> None:
        super().__init__(engine, broker, settings)
        assert isinstance(self._positions, LanePositions)
        self._positions = _NoPositions()


class Uncapped(Relay):
    """Raises the floor over rows that are kept for another try."""

    def __init__(self, engine: AsyncEngine, broker: Broker, settings: RelaySettings) -> None:
        super().__init__(engine, broker, settings)
        assert isinstance(self._positions, LanePositions)
        self._positions = _Uncapped()


class _NoPositions(LanePositions):
    def passed(self, lane: int, *, last_id: int, xmin: int, own: int) -> None:
        pass


class _Uncapped(LanePositions):
    def kept(self, lane: int, first_id: int) -> None:
        pass


# With a limit of its own, and an index on `id` that the real table does without.
_LEASE = text("""
    UPDATE outbox o SET not_before = clock_timestamp() + interval '30 s'
    FROM (
        SELECT lane, id FROM outbox WHERE not_before <= clock_timestamp()
        ORDER BY id LIMIT :events FOR UPDATE SKIP LOCKED
    ) c
    WHERE o.lane = c.lane AND o.id = c.id
    RETURNING o.lane, o.id, o.event_id, o.type, o.envelope::text AS envelope
""")
_DELETE = text("""
    DELETE FROM outbox o USING unnest(CAST(:lanes AS smallint[]), CAST(:ids AS bigint[])) AS d(lane, id)
    WHERE o.lane = d.lane AND o.id = d.id
""")


class Lease:
    """What most outboxes do: lease rows with SKIP LOCKED, publish them, delete them. Order is nobody's concern."""

    def __init__(self, engine: AsyncEngine, broker: Broker, settings: RelaySettings) -> None:
        self._engine = engine
        self._broker = broker
        self._events = settings.lanes_per_pass * settings.events_per_lane

    async def relay_once(self) -> int:
        """Publish one batch and return its size."""
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_LEASE, {"events": self._events})).all()
        rows = sorted(rows, key=lambda row: row.id)
        await self._broker.publish([Message(str(row.event_id), row.type, row.envelope.encode()) for row in rows])
        async with self._engine.begin() as connection:
            await connection.execute(_DELETE, {"lanes": [row.lane for row in rows], "ids": [row.id for row in rows]})
        return len(rows)


RELAYS = {"lanes": Relay, "no floor": NoFloor, "uncapped": Uncapped, "lease": Lease}


class Watched:
    """A broker around the real one that notes when each message was acknowledged."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.acknowledged: dict[str, float] = {}

    async def open(self) -> None:
        await self._broker.open()

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledged | Refused]:
        outcomes = await self._broker.publish(messages)
        now = time.monotonic()  # on one machine the same clock for all processes
        self.acknowledged.update((message.id, now) for message in messages)
        return outcomes

    async def close(self) -> None:
        await self._broker.close()


class Refusing(Watched):
    """Refuses some events for a while, and takes them later."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self._first_seen: dict[str, float] = {}

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledged | Refused]:
        taken = [message for message in messages if not self._refuses(message)]
        stored = iter(await super().publish(taken))
        refused = {message.id for message in messages} - {message.id for message in taken}
        return [Refused("for a while") if message.id in refused else next(stored) for message in messages]

    def _refuses(self, message: Message) -> bool:
        if zlib.crc32(message.id.encode()) % _REFUSED_ONE_IN:
            return False
        return time.monotonic() - self._first_seen.setdefault(message.id, time.monotonic()) < _REFUSED_SECONDS


class Instant(Watched):
    """Acknowledges at once, so that the database alone is measured."""

    async def open(self) -> None:
        pass

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledged | Refused]:
        await asyncio.sleep(0)
        return [Acknowledged(duplicate=False)] * len(messages)


BROKERS = {"watched": Watched, "refusing": Refusing, "instant": Instant}
