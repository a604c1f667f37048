"""The bound of the inbox: an event is remembered for longer than the broker could deliver it, and no longer."""

import asyncio
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import wait_or_stop

from . import telemetry

_BATCH = 1000
_PAUSE_SECONDS = 60.0
_ADVISORY_LOCK = 0x696E_6278  # "inbx": any constant that no other lock of the database has
_log = structlog.get_logger(__name__)

# One worker at a time, the others have nothing to do. It ends with the transaction, however that ends.
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")

# From where the last batch ended: PostgreSQL may keep deleted rows, and their index entries, for a long time.
_FORGET = text("""
    WITH old AS (
        SELECT consumer, event_id FROM inbox
        WHERE handled_at >= :since AND handled_at < clock_timestamp() - make_interval(secs => :kept_seconds)
        ORDER BY handled_at LIMIT :rows
    ), gone AS (
        DELETE FROM inbox i USING old WHERE i.consumer = old.consumer AND i.event_id = old.event_id
        RETURNING i.handled_at
    )
    SELECT count(*) AS rows, max(handled_at) AS newest FROM gone
""")


class InboxSettings(BaseModel):
    """How long to remember."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept_days: float = Field(
        7.0,
        gt=0,
        description="How long a handled event is remembered; must exceed the age of what the broker delivers.",
    )


class Forgetting:
    """The job that deletes old rows in batches. Run one in each worker."""

    def __init__(self, engine: AsyncEngine, settings: InboxSettings) -> None:
        self._engine = engine
        self._kept_seconds = settings.kept_days * 86_400
        self._since = datetime.min.replace(tzinfo=UTC)

    async def run(self, stop: asyncio.Event) -> None:
        """Forget once a minute until `stop` is set; a broken database is waited for."""
        while not stop.is_set():
            try:
                await self.forget(stop)
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("inbox.forgetting_failed", error=type(exc).__name__)
            await wait_or_stop(stop, _PAUSE_SECONDS)

    async def forget(self, stop: asyncio.Event | None = None) -> int:
        """Delete what is old enough, in transactions of a thousand rows, and return how much that was."""
        total, rows = 0, _BATCH
        while rows == _BATCH and not (stop and stop.is_set()):
            async with self._engine.begin() as connection:
                rows = await self._forget_batch(connection)
            telemetry.EVENTS_FORGOTTEN.inc(rows)
            total += rows
        if total:
            _log.info("inbox.events_forgotten", rows=total)
        return total

    async def _forget_batch(self, connection: AsyncConnection) -> int:
        if not await connection.scalar(_TRY_LOCK, {"key": _ADVISORY_LOCK}):
            return 0
        old = {"since": self._since, "kept_seconds": self._kept_seconds, "rows": _BATCH}
        gone = (await connection.execute(_FORGET, old)).one()
        self._since = gone.newest or self._since
        return int(gone.rows)
