"""How a month leaves its table: it becomes a table of its own, which is dropped, or put back.

DETACH PARTITION CONCURRENTLY cannot be had: PostgreSQL refuses it for a table with a default partition. The plain one
needs the whole table for a moment, so it is asked for patiently.
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .catalogue import PartitionedTable
from .months import Month
from .patience import PartitionSettings, patiently

_MARK = "detached month"  # a comment, which tells it from a table that only has such a name
_DETACHED = text("""
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND NOT relispartition AND pg_table_is_visible(oid)
        AND obj_description(oid, 'pg_class') = :mark AND starts_with(relname, :table || '_')
""")
_FORCED = text("SELECT relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:name)")


async def detached(connection: AsyncConnection, table: PartitionedTable) -> Sequence[Month]:
    """Return the months that were detached, and neither dropped nor put back."""
    names = await connection.scalars(_DETACHED, {"table": table.name, "mark": _MARK})
    return sorted(month for name in names if (month := Month.of_partition(table.name, name)))


async def open_to_owner(
    owner: AsyncEngine, settings: PartitionSettings, partition: str, *, opened: bool = True
) -> None:
    """Let the owner read, and delete from, a partition directly; or no longer. Nobody else has a right to it."""

    async def change(connection: AsyncConnection) -> None:
        if await connection.scalar(_FORCED, {"name": partition}) is opened:
            force = "NO FORCE" if opened else "FORCE"
            await connection.execute(text(f"ALTER TABLE {partition} {force} ROW LEVEL SECURITY"))

    await patiently(owner, settings, partition, "its owner cannot read it", change)


async def detach(
    owner: AsyncEngine,
    settings: PartitionSettings,
    table: PartitionedTable,
    month: Month,
    *,
    if_: Callable[[AsyncConnection], Awaitable[bool]],
) -> bool:
    """Make a table of its own of a month, unless `if_`, which is asked in the same transaction, says no.

    Raises:
        PartitionBusy: a transaction would not let go of the table.
    """

    async def change(connection: AsyncConnection) -> bool:
        if agreed := await if_(connection):
            partition = month.partition_of(table.name)
            await connection.execute(text(f"ALTER TABLE {table.name} DETACH PARTITION {partition}"))
            await connection.execute(text(f"COMMENT ON TABLE {partition} IS '{_MARK}'"))
        return agreed

    return await patiently(owner, settings, table.name, f"{month} was not detached", change)


async def attach(owner: AsyncEngine, settings: PartitionSettings, table: PartitionedTable, month: Month) -> None:
    """Put a detached month back.

    Raises:
        PartitionBusy: it is still a table of its own.
    """
    first, end = month.bounds(table.key_type)
    partition = month.partition_of(table.name)

    async def change(connection: AsyncConnection) -> None:
        await connection.execute(
            text(f"ALTER TABLE {table.name} ATTACH PARTITION {partition} FOR VALUES FROM ('{first}') TO ('{end}')")
        )
        await connection.execute(text(f"COMMENT ON TABLE {partition} IS NULL"))

    await patiently(owner, settings, table.name, f"{month} was not put back", change)
