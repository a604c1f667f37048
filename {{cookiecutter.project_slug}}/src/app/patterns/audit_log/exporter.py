"""The exporter: takes sealed segments out of the database, to where nobody can change them.

It holds no transaction while it talks to the storage. Two exporters, or one that died half way, do no harm: an object
can be written once only; who finds it there reads it, and goes on behind it.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import wait_or_stop
from app.kit.context import Context, bind
from app.kit.object_storage import StorageUnavailable, Store
from app.kit.redaction import message_of

from . import archive, reading, telemetry
from .archive import Segment
from .checkpoints import Signer
from .models import audit_export
from .segments import Seal, first_difference
from .settings import AuditLogSettings

_SEGMENTS_PER_OBJECT = 1_000
_ENTRIES_PER_OBJECT = 20_000  # about 8 MB
_log = structlog.get_logger(__name__)


class SegmentDamaged(Exception):
    """A segment is not, or is no longer, what was sealed or exported; nothing behind it is exported."""


class Exporter:
    """Writes sealed segments into the storage, and a checkpoint behind them."""

    def __init__(self, engine: AsyncEngine, store: Store, settings: AuditLogSettings) -> None:
        self._engine = engine
        self._store = store
        self._signer = Signer(settings)
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Export until `stop` is set; a broken database or storage is waited for."""
        while not stop.is_set():
            try:
                await self.export_once()
            except StorageUnavailable as exc:
                telemetry.EXPORT_FAILURES.labels("storage").inc()
                _log.warning("audit.export_failed", reason="storage", error=message_of(exc))
            except (SQLAlchemyError, OSError) as exc:
                telemetry.EXPORT_FAILURES.labels("database").inc()
                _log.warning("audit.export_failed", reason="database", error=message_of(exc))
            await wait_or_stop(stop, self._settings.export_seconds)

    async def export_once(self) -> int:
        """Export what is sealed, and return how many segments that were. A damaged one stops its own tenant alone.

        Raises:
            StorageUnavailable: the rest waits for the next time.
        """
        async with self._engine.connect() as connection:
            waiting = await reading.unexported(connection)
        exported = 0
        for tenant, number in waiting:
            with bind(Context(tenant=tenant, actor="audit-export")):
                try:
                    while segments := await self._export_next(tenant, number):
                        number, exported = segments[-1].seal.number, exported + len(segments)  # noqa: PLW2901
                except SegmentDamaged as exc:
                    telemetry.EXPORT_FAILURES.labels("damaged").inc()
                    _log.error("audit.export_refused", reason=str(exc))
        return exported

    async def _export_next(self, tenant: str, number: int) -> Sequence[Segment]:
        """Make the object that begins after segment `number`, and return what is in it."""
        segments = await self._read(tenant, number, limit=_SEGMENTS_PER_OBJECT)
        if not segments:
            return []
        name = archive.object_name(tenant, number + 1)
        if not await self._store.put(name, archive.render(segments)):
            segments = await self._as_written(tenant, number, name)
        last = segments[-1].seal
        checkpoint = archive.checkpoint_name(tenant, number + 1)
        if not await self._store.put(checkpoint, self._signer.checkpoint(last)):
            fault = self._signer.fault(await self._store.get(checkpoint) or b"", last)
            if fault:
                raise SegmentDamaged(f"{checkpoint}: {fault}")
        async with self._engine.begin() as connection:
            row = {"tenant_id": tenant, "number": last.number}
            await connection.execute(insert(audit_export).inline().on_conflict_do_nothing(), row)
        telemetry.SEGMENTS_EXPORTED.inc(len(segments))
        return segments

    async def _as_written(self, tenant: str, number: int, name: str) -> Sequence[Segment]:
        """Return the segments of an object that was there already, and that must hold what the database holds."""
        written = await self._store.get(name) or b""
        segments = await self._read(tenant, number, limit=written.count(b'{"seal":'))
        if archive.render(segments) != written:
            raise SegmentDamaged(f"{name} is there already, and says something else than the database")
        return segments

    async def _read(self, tenant: str, number: int, *, limit: int) -> Sequence[Segment]:
        """Return the segments after `number` that may go into one object, each checked against its seal."""
        segments: list[Segment] = []
        async with self._engine.connect() as connection:
            before = await reading.seals(connection, tenant, after=number - 1, limit=1) if number else []
            last: Seal | None = before[0] if before else None
            size = 0
            for seal in await reading.seals(connection, tenant, after=number, limit=limit):
                size += len(seal.leaves)
                if segments and size > _ENTRIES_PER_OBJECT:
                    break
                found = await reading.entries(
                    connection, tenant, after_id=last.last_id if last else 0, last_id=seal.last_id
                )
                lines = [entry.line for entry in found]
                if seal.fault(tenant=tenant, after=last) or first_difference(seal, lines):
                    if segments:
                        break  # what is whole is exported first
                    raise SegmentDamaged(f"segment {seal.number} is not what was sealed; see `app audit verify`")
                segments.append(Segment(seal, lines))
                last = seal
        return segments
