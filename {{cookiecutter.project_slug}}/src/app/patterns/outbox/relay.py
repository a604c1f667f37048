"""The relay: claims lanes, publishes what waits in them, deletes what the broker has stored."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.redaction import message_of

from . import backlog, spans, telemetry
from .backlog import Backlog
from .broker import Acknowledged, Broker, BrokerFull, BrokerUnavailable, Full, Message, Refused
from .models import LANES
from .parked import park
from .positions import LanePositions
from .wakeup import listen

_LONGEST_PAUSE_SECONDS = 5.0  # how late a relay may notice that its broker is back
_log = structlog.get_logger(__name__)


class RelaySettings(BaseModel):
    """How eagerly a relay works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lanes_per_pass: int = Field(
        8, ge=1, le=LANES, description="Lanes one pass may hold; the others are free for other relays."
    )
    events_per_lane: int = Field(64, ge=1, le=1000, description="Events one pass takes from one lane.")
    poll_seconds: float = Field(0.25, gt=0, description="Longest pause between two looks when no NOTIFY arrives.")
    retry_seconds: float = Field(1.0, gt=0, description="Pause after the first refusal of an event; doubles each time.")
    retry_max_seconds: float = Field(300.0, gt=0, description="Longest such pause.")
    max_attempts: int = Field(
        10, ge=1, le=1000, description="Refusals after which an event is parked; by default after about six minutes."
    )


# Lanes with something to publish, starting at a lane that moves on with each pass, so that no lane starves.
# SKIP LOCKED: relays share the lanes without waiting for each other.
_CLAIM_LANES = text("""
    SELECT l.lane
    FROM unnest(CAST(:floors AS bigint[])) WITH ORDINALITY AS f(floor, number)
    JOIN outbox_lane l ON l.lane = f.number - 1
    WHERE EXISTS (SELECT FROM outbox o WHERE o.lane = l.lane AND o.id > f.floor AND o.not_before <= clock_timestamp())
    ORDER BY mod(l.lane + :rotation, :lane_count)
    LIMIT :lanes
    FOR UPDATE OF l SKIP LOCKED
""")

# A statement of its own: its snapshot must be younger than the lane locks, or it would show rows that the previous
# holder of a lane has just deleted. And the locks have given this transaction its id, before that snapshot.
# A held event is read whatever else there is, for the floor's sake; those behind it are not, or they would leave no
# room for others.
_READ_LANES = text("""
    WITH held AS MATERIALIZED (
        SELECT lane, aggregate, min(id) AS id FROM outbox
        WHERE lane = ANY(CAST(:lanes AS smallint[]))
          AND not_before > statement_timestamp() AND not_before > '-infinity'  -- the second one names the index
        GROUP BY lane, aggregate
    )
    SELECT o.lane, o.id, o.event_id, o.aggregate, o.type, o.envelope::text AS envelope, o.attempts,
           o.envelope ->> 'traceparent' AS traceparent,
           CAST(extract(epoch FROM clock_timestamp() - o.created_at) AS double precision) AS age_seconds,
           o.not_before <= statement_timestamp() AS due,
           CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS xmin,
           CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS own
    FROM unnest(CAST(:lanes AS smallint[]), CAST(:floors AS bigint[])) AS f(lane, floor)
    CROSS JOIN LATERAL (
        (SELECT w.* FROM outbox w
         WHERE w.lane = f.lane AND w.id > f.floor
           AND NOT EXISTS (SELECT FROM held h WHERE (h.lane, h.aggregate) = (w.lane, w.aggregate) AND h.id <= w.id)
         ORDER BY w.id LIMIT :events_per_lane)
        UNION ALL
        SELECT w.* FROM held h JOIN outbox w USING (lane, id) WHERE h.lane = f.lane
    ) o
    ORDER BY o.lane, o.id
""")

_DELETE = text("""
    DELETE FROM outbox o
    USING unnest(CAST(:lanes AS smallint[]), CAST(:ids AS bigint[])) AS d(lane, id)
    WHERE o.lane = d.lane AND o.id = d.id
""")

_RETRY_LATER = text("""
    UPDATE outbox SET attempts = attempts + 1, not_before = clock_timestamp() + make_interval(secs => :delay_seconds)
    WHERE lane = :lane AND id = :id
""")


@dataclass(slots=True)
class _Batch:
    """The rows of one pass, and what became of them."""

    rows: Sequence[Row[Any]]
    published: list[Row[Any]] = field(default_factory=list)
    refused: list[tuple[Row[Any], Refused]] = field(default_factory=list)
    parked: list[tuple[Row[Any], Refused]] = field(default_factory=list)
    full: Full | None = None

    def kept(self) -> Iterable[Row[Any]]:
        done = {(row.lane, row.id) for row in self.published}
        return (row for row in self.rows if (row.lane, row.id) not in done)


class Relay:
    """Moves events from the table to the broker: at least once, in order per aggregate. Run as many as you like."""

    def __init__(self, engine: AsyncEngine, broker: Broker, settings: RelaySettings) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self._positions = LanePositions()
        self._rotation = random.randrange(LANES)  # noqa: S311 - spreads relays, hides nothing
        self._wake = asyncio.Event()
        self._failures = 0
        telemetry.initialise()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; a broken broker or database is waited for."""
        async with listen(self._engine, self._wake.set):
            while not stop.is_set():
                self._wake.clear()
                if await self._pass_and_count() == 0:
                    await self._pause(stop)

    async def relay_once(self) -> int:
        """Make one pass over the lanes and return how many events were published.

        The transaction stays open while the broker is asked, on purpose: its row locks are the claim. If this process
        dies, PostgreSQL releases them and the next relay starts over.

        Raises:
            BrokerUnavailable: the broker did not answer; nothing changed in the table.
            BrokerFull: the broker took nothing, for want of room; its events wait, and none of them counts as refused.
        """
        await self._broker.open()  # first: without a broker there is no reason to hold a transaction
        with telemetry.PASS_SECONDS.time():
            async with self._engine.begin() as connection:
                batch = await self._claim(connection)
                await self._publish(batch)
                await self._settle(connection, batch)
            self._remember(batch)
        for row, refused in batch.parked:
            _tell_parked(row, refused)
        if batch.full is not None and not batch.published:
            raise BrokerFull(batch.full.reason)
        return len(batch.published)

    def floors(self) -> list[int]:
        """Return, for lane 0, 1, 2, ..., the id after which this relay reads."""
        return self._positions.floors()

    async def observe(self) -> Backlog:
        """Return what waits and what is parked, and set the gauges."""
        async with self._engine.connect() as connection:
            return await backlog.observe(connection, self.floors())

    async def _claim(self, connection: AsyncConnection) -> _Batch:
        floors = self.floors()
        self._rotation = (self._rotation + self._settings.lanes_per_pass) % LANES
        claim = {
            "floors": floors,
            "rotation": self._rotation,
            "lane_count": LANES,
            "lanes": self._settings.lanes_per_pass,
        }
        lanes: list[int] = list((await connection.execute(_CLAIM_LANES, claim)).scalars())
        if not lanes:
            return _Batch([])
        read = {
            "lanes": lanes,
            "floors": [floors[lane] for lane in lanes],
            "events_per_lane": self._settings.events_per_lane,
        }
        return _Batch((await connection.execute(_READ_LANES, read)).all())

    async def _publish(self, batch: _Batch) -> None:
        """Publish in waves of one event per aggregate.

        Within a wave messages are pipelined. An event is sent only when its predecessor is stored: if a broker refuses
        one, or loses it with a failing leader, nothing of that aggregate has overtaken it.
        """
        queues: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in batch.rows:
            queues[row.aggregate].append(row)
        while wave := [queue[0] for queue in queues.values() if queue and queue[0].due]:
            sending = [spans.begin(row) for row in wave]
            messages = [
                Message(str(row.event_id), row.type, row.envelope.encode(), spans.headers(span))
                for row, span in zip(wave, sending, strict=True)
            ]
            try:
                with telemetry.PUBLISH_SECONDS.time():
                    outcomes = await self._broker.publish(messages)
            except BrokerUnavailable:
                spans.end_all(sending, error="unavailable")
                raise
            for row, span, outcome in zip(wave, sending, outcomes, strict=True):
                if isinstance(outcome, Acknowledged):
                    spans.end(span)
                    batch.published.append(row)
                    queues[row.aggregate].pop(0)
                    telemetry.MESSAGES_PUBLISHED.labels(str(outcome.duplicate).lower()).inc()
                else:
                    del queues[row.aggregate]  # the rest of this aggregate waits for it, nobody else does
                    spans.end(span, error=_note_refusal(batch, row, outcome))

    async def _settle(self, connection: AsyncConnection, batch: _Batch) -> None:
        if batch.published:
            ids = {"lanes": [row.lane for row in batch.published], "ids": [row.id for row in batch.published]}
            await connection.execute(_DELETE, ids)
        for row, refused in batch.refused:
            if refused.final or row.attempts + 1 >= self._settings.max_attempts:
                # What is behind it waits for the commit: published before, it would be first if this were rolled back.
                await park(connection, row, refused.reason)
                batch.parked.append((row, refused))
                continue
            delay = _backoff(self._settings.retry_seconds, row.attempts, self._settings.retry_max_seconds)
            await connection.execute(_RETRY_LATER, {"lane": row.lane, "id": row.id, "delay_seconds": delay})

    def _remember(self, batch: _Batch) -> None:
        for row in {row.lane: row for row in batch.rows if row.due}.values():  # the last row that was read in order
            self._positions.passed(row.lane, last_id=row.id, xmin=row.xmin, own=row.own)
        for row in batch.kept():
            self._positions.kept(row.lane, row.id)

    async def _pass_and_count(self) -> int:
        try:
            published = await self.relay_once()
        except (BrokerUnavailable, BrokerFull, SQLAlchemyError, OSError) as exc:
            self._failures += 1
            reason = {BrokerUnavailable: "broker", BrokerFull: "broker_full"}.get(type(exc), "database")
            telemetry.PASS_FAILURES.labels(reason).inc()
            _log.warning("outbox.pass_failed", reason=reason, error=message_of(exc), failures=self._failures)
            return 0
        self._failures = 0
        return published

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait for a wake-up, for the poll interval, or, after failures, for longer and longer."""
        seconds = _backoff(self._settings.poll_seconds, self._failures, _LONGEST_PAUSE_SECONDS)
        waiting = [asyncio.ensure_future(stop.wait())]
        if self._failures == 0:
            waiting.append(asyncio.ensure_future(self._wake.wait()))
        _done, pending = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()


def _note_refusal(batch: _Batch, row: Row[Any], outcome: Refused | Full) -> str:
    """Note in the batch that `row` was not taken, and return the kind of error for its span."""
    if isinstance(outcome, Full):
        batch.full = outcome  # not the event's fault: it is not counted against it
        return "full"
    batch.refused.append((row, outcome))
    telemetry.PUBLISH_FAILURES.inc()
    _log.error("outbox.event_refused", event_id=str(row.event_id), reason=outcome.reason)
    return "refused"


def _tell_parked(row: Row[Any], refused: Refused) -> None:
    telemetry.EVENTS_PARKED.labels("final" if refused.final else "refused").inc()
    about = {"event_id": str(row.event_id), "event_type": row.type, "attempts": row.attempts + 1}
    _log.error("outbox.event_parked", **about, reason=refused.reason)


def _backoff(first_seconds: float, failures: int, longest_seconds: float) -> float:
    """Return the pause after `failures` in a row: doubled each time, bounded, and with jitter so relays spread."""
    if failures == 0:
        return first_seconds
    pause = min(first_seconds * 2.0 ** min(failures, 32), longest_seconds)
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - hides nothing
