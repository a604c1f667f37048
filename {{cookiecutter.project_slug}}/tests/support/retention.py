"""What the tests of retention have in common: months that are due, and a storage in which something happens."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.object_storage import FolderStore
from app.patterns import archive, retention
from app.retention import Due, due
from tests.support.old_orders import DUE, NOW, rows, run

PARTITION = DUE.partition_of("orders")


class BusyStore(FolderStore):
    """A folder, and something that happens when an archive has just been written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.after_manifest: Callable[[], Awaitable[object]] = nothing

    async def put(self, name: str, body: bytes) -> bool:
        written = await super().put(name, body)
        if name.endswith("manifest.json"):
            await self.after_manifest()
        return written


async def nothing() -> None:
    """Nothing happens."""


async def due_months(engine: AsyncEngine, *, at: datetime = NOW) -> list[Due]:
    """Return what may go by the rules."""
    async with engine.connect() as connection:
        return list(await due(connection, ManualClock(at)))


async def due_orders(engine: AsyncEngine, **changes: object) -> Due:
    """Return the month of the orders, as if it were due by the rule with `changes`."""
    (month,) = [month for month in await due_months(engine) if month.table.name == "orders"]
    return replace(month, rule=month.rule.model_copy(update=changes))


async def hold(engine: AsyncEngine, tenant: str) -> int:
    """Place a hold, and return its number."""
    async with engine.begin() as connection:
        return await retention.place(connection, tenant, "a matter")


async def is_part(engine: AsyncEngine) -> bool:
    """Tell whether the month is in its table, with its walls."""
    async with engine.connect() as connection:
        forced = text("SELECT relispartition AND relforcerowsecurity FROM pg_class WHERE relname = :name")
        return bool(await connection.scalar(forced, {"name": PARTITION}))


async def archives(store: FolderStore) -> Mapping[str, int]:
    """Return the rows of each archive of orders."""
    found = await archive.archives(store, "orders/")
    return {name: it.rows for name, it in found.items() if isinstance(it, archive.Manifest)}


async def restored(engine: AsyncEngine, store: FolderStore, name: str) -> Sequence[str]:
    """Return the rows of an archive, read back through a table."""
    await run(engine, "CREATE TABLE restored (LIKE orders)")
    async with engine.connect() as connection:
        await archive.restore(connection, store, name, "restored")
    found = await rows(engine, "restored")
    await run(engine, "DROP TABLE restored")
    return found
