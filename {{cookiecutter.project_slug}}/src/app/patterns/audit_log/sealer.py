"""The sealer: gathers what is committed into segments, one per tenant and pass, and seals them.

Ids alone do not tell what may be sealed: a slow transaction commits an entry with an id below those already there. So
a pass remembers the greatest id that it sees, and then takes a transaction id of its own, the barrier. Whoever took a
smaller id had a transaction id before, as the table's first column makes sure, and it is below the barrier. Once a
snapshot's xmin has reached the barrier, all of them have ended: below the remembered id nothing will ever appear again,
and the next pass seals it. (The snapshot's own xmax is no barrier: it is one above the last transaction that has
ended, and a transaction that still runs may be above it.)
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row, insert, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import Clock, wait_or_stop
from app.kit.redaction import message_of

from . import telemetry
from .models import audit_seal
from .segments import Seal, line_of
from .settings import AuditLogSettings

ADVISORY_LOCK = 0x6175_6474  # "audt": any constant, the same in every release
_log = structlog.get_logger(__name__)

# One sealer at a time: two would give two segments the same number. The next pass is soon, so nobody waits.
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")

# Where sealing has got to, over all tenants: a pass seals everybody's entries up to some id.
_SEALED_ID = text("SELECT coalesce(max(last_id), 0) FROM audit_seal")

_LAST_ID = text("SELECT coalesce(max(id), 0) FROM audit_log")

# A statement of its own, after _LAST_ID: the barrier must be younger than the id.
_BARRIER = text("""
    SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS barrier,
           CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS xmin
""")

_READ = text("""
    SELECT * FROM audit_log WHERE id > :sealed_id AND id <= :settled_id ORDER BY id LIMIT :entries
""")

_LAST_SEALS = text("""
    SELECT s.* FROM unnest(CAST(:tenants AS text[])) AS t(tenant_id)
    CROSS JOIN LATERAL (SELECT * FROM audit_seal WHERE tenant_id = t.tenant_id ORDER BY number DESC LIMIT 1) s
""")

_OLDEST_UNSEALED = text("""
    SELECT extract(epoch FROM clock_timestamp() - recorded_at) FROM audit_log
    WHERE id > (SELECT coalesce(max(last_id), 0) FROM audit_seal) ORDER BY id LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class _Mark:
    """An id below which all will be there, as soon as every transaction below the barrier has ended."""

    last_id: int
    barrier: int


class Sealer:
    """Seals what is committed, in the order of ids. Run as many as you like: one works, the others look again."""

    def __init__(self, engine: AsyncEngine, clock: Clock, settings: AuditLogSettings) -> None:
        self._engine = engine
        self._clock = clock
        self._settings = settings
        self._mark: _Mark | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until `stop` is set; a broken database is waited for."""
        while not stop.is_set():
            sealed = 0
            try:
                try:
                    sealed = await self.seal_once()
                finally:
                    await self.observe()  # after a pass that failed as well: what waits gets older
            except (SQLAlchemyError, OSError) as exc:
                telemetry.SEAL_FAILURES.inc()
                _log.warning("audit.seal_failed", error=message_of(exc))
            if sealed < self._settings.entries_per_pass:
                await wait_or_stop(stop, self._settings.seal_seconds)

    async def seal_once(self) -> int:
        """Seal what was committed before the last pass, and return how many entries that were.

        All in one transaction: a sealer that dies has sealed nothing, and the next one begins where this one did.
        """
        async with self._engine.begin() as connection:
            if not await connection.scalar(_TRY_LOCK, {"key": ADVISORY_LOCK}):
                return 0
            sealed_id = await connection.scalar(_SEALED_ID)
            last_id = await connection.scalar(_LAST_ID)
            if last_id <= sealed_id:
                return 0
            barrier, xmin = (await connection.execute(_BARRIER)).one()
            mark, here = self._mark, _Mark(last_id, barrier)
            settled = mark is not None and xmin >= mark.barrier
            rows = await self._seal(connection, sealed_id, mark.last_id) if mark and settled else []
        if mark is None or (settled and len(rows) < self._settings.entries_per_pass):
            self._mark = here
        telemetry.ENTRIES_SEALED.inc(len(rows))
        return len(rows)

    async def observe(self) -> float:
        """Read how old the oldest unsealed entry is, into the metric."""
        async with self._engine.connect() as connection:
            seconds = float(await connection.scalar(_OLDEST_UNSEALED) or 0)
        telemetry.OLDEST_UNSEALED_SECONDS.set(seconds)
        return seconds

    async def _seal(self, connection: AsyncConnection, sealed_id: int, settled_id: int) -> Sequence[Row[Any]]:
        bounds = {"sealed_id": sealed_id, "settled_id": settled_id, "entries": self._settings.entries_per_pass}
        rows = (await connection.execute(_READ, bounds)).all()
        segments: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            segments[row.tenant_id].append(row)
        if not segments:
            return rows
        found = await connection.execute(_LAST_SEALS, {"tenants": list(segments)})
        before = {row.tenant_id: Seal.from_row(row) for row in found}
        now = self._clock.now()
        seals = [
            Seal.of(
                list(map(line_of, segment)), tenant=tenant, after=before.get(tenant), last_id=segment[-1].id, at=now
            )
            for tenant, segment in segments.items()
        ]
        await connection.execute(insert(audit_seal).inline(), [seal.to_row() for seal in seals])
        return rows
