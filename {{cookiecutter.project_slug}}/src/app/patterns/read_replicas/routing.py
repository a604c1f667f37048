"""Which server a read goes to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit.clock import Clock, SystemClock
from app.kit.db import DatabaseUnavailable, transaction

from . import telemetry
from .positions import Log
from .sessions import required_position

_RECOVERY_CONFLICT = "40001"  # the replica needed the rows' old versions gone: the same query may pass elsewhere
_OLDEST_LOOK = 3  # a view of the replicas that is older than so many looks is none
_POSITION = text("""
    SELECT CAST(pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0'
    ) AS bigint) AS position, pg_is_in_recovery() AS standby
""")
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class ReplicaSettings(BaseModel):
    """Where reads may go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[SecretStr, ...] = Field((), description="Replicas, each as APP_DATABASE__URL; none means no routing.")
    max_lag_seconds: float = Field(2.0, gt=0, description="A replica that is later than this is not asked.")
    look_seconds: float = Field(0.5, gt=0, description="Pause between two looks at where the servers are.")


@dataclass(slots=True)
class _Replica:
    name: str
    engine: AsyncEngine
    replayed: int = -1
    refused: str = "unknown"
    """Why it gets no reads; empty when it does."""


class ReadReplicas:
    """Sends each read to a replica that is good enough for it, or to the primary."""

    def __init__(
        self,
        primary: AsyncEngine,
        replicas: Sequence[AsyncEngine] = (),
        settings: ReplicaSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._primary = primary
        self._replicas = [_Replica(f"replica-{number}", engine) for number, engine in enumerate(replicas)]
        self._settings = settings or ReplicaSettings()
        self._clock = clock or SystemClock()
        self._log = Log()
        self._looked_at = float("-inf")
        self._next = 0

    async def read(self, query: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
        """Return what `query` returns, which only reads and may be called a second time, on another server.

        Raises:
            DatabaseUnavailable: no server can be asked, the primary included.
        """
        replica, reason = self._choose()
        if replica is not None:
            try:
                async with transaction(replica.engine) as session:
                    result = await query(session)
            except (DatabaseUnavailable, DBAPIError) as exc:
                if isinstance(exc, DBAPIError) and getattr(exc.orig, "sqlstate", None) != _RECOVERY_CONFLICT:
                    raise
                reason = "failed"
                if isinstance(exc, DatabaseUnavailable):
                    self._judge(replica, "lost")
            else:
                telemetry.READS.labels("replica", "").inc()
                return result
        telemetry.READS.labels("primary", reason).inc()
        async with transaction(self._primary) as session:
            return await query(session)

    async def position(self) -> int:
        """Return how far the primary's log has come: what is committed by now is before that.

        Raises:
            DatabaseUnavailable: it cannot be asked.
        """
        async with transaction(self._primary) as session:
            return int((await session.execute(_POSITION)).one().position)

    async def watch(self) -> None:
        """Look after the replicas until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(self._settings.look_seconds)

    async def look(self) -> None:
        """Ask all servers once where they are."""
        asked = self._clock.monotonic()  # before the answer: a lag is told too long rather than too short
        try:
            self._log.note(await self.position(), asked)
        except (DatabaseUnavailable, SQLAlchemyError) as exc:  # nothing is written meanwhile: nobody falls behind
            _log.warning("read_replicas.primary_unknown", error=type(exc).__name__)
        await asyncio.gather(*map(self._look_at, self._replicas))
        self._looked_at = self._clock.monotonic()

    async def _look_at(self, replica: _Replica) -> None:
        try:
            async with transaction(replica.engine) as session:
                found = (await session.execute(_POSITION)).one()
        except (DatabaseUnavailable, SQLAlchemyError):
            self._judge(replica, "lost")
            return
        replica.replayed = int(found.position)
        lag = self._log.lag_seconds(replica.replayed, self._clock.monotonic())
        telemetry.LAG_SECONDS.labels(replica.name).set(lag)
        if not found.standby:
            self._judge(replica, "promoted")  # it is the primary now, or believes so: no place for reads of its own
        else:
            self._judge(replica, "lag" if lag > self._settings.max_lag_seconds else "")

    def _judge(self, replica: _Replica, refused: str) -> None:
        if refused and refused != replica.refused:
            _log.warning("read_replicas.replica_refused", replica=replica.name, reason=refused)
        elif refused != replica.refused:
            _log.info("read_replicas.replica_in_use", replica=replica.name)
        replica.refused = refused
        telemetry.IN_USE.labels(replica.name).set(not refused)

    def _choose(self) -> tuple[_Replica | None, str]:
        """Return a replica, or None and why: the first reason that stands in the way of one of them."""
        if not self._replicas:
            return None, "none"
        if self._clock.monotonic() - self._looked_at > _OLDEST_LOOK * self._settings.look_seconds:
            return None, "unknown"
        required = required_position()
        reason = ""
        for offset in range(len(self._replicas)):
            replica = self._replicas[(self._next + offset) % len(self._replicas)]
            if not replica.refused and replica.replayed >= required:
                self._next += offset + 1
                return replica, ""
            reason = reason or replica.refused or "behind"
        return None, reason
