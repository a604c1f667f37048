"""Makes the partitions of this month and the next ones. Only the tables' owner can; the service's roles own nothing."""

from collections.abc import Sequence
from functools import partial

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import Clock

from .catalogue import PartitionedTable, tables
from .months import Month
from .patience import PartitionSettings, patiently
from .triggers import copy_triggers, triggers_off

ADVISORY_LOCK = 0x7061_7274  # "part": any constant that no other lock of the database has
# Not by to_regclass: behind the advisory lock it would remember that the name was free before it.
_THERE = text("SELECT EXISTS (SELECT FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid))")
_log = structlog.get_logger(__name__)


async def make_ahead(
    owner: AsyncEngine, settings: PartitionSettings, clock: Clock, *, since: Month | None = None
) -> Sequence[str]:
    """Make what is missing, each partition in a transaction of its own, and return the names of what was made.

    With `since`, months that are over are made as well, from that one on: rows that came without them move there.

    Raises:
        NotByMonth: a table is partitioned by something else.
        PartitionBusy: those made before are kept.
    """
    async with owner.connect() as connection:
        found = await tables(connection)
    current = Month.of(clock.now())
    months = [*(since or current).before(current), *current.ahead(settings.months_ahead)]
    wanted = [(table, month) for table in found for month in months]
    made = []
    for table, month in wanted:
        making = partial(_make, table=table, month=month, current=current)
        if await patiently(owner, settings, table.name, f"no partition was made for {month}", making):
            made.append(month.partition_of(table.name))
    return made


async def _make(connection: AsyncConnection, table: PartitionedTable, month: Month, current: Month) -> bool:
    """Make one partition; False if it is there."""
    name = month.partition_of(table.name)
    if await connection.scalar(_THERE, {"name": name}):  # most of the time: no lock is asked for
        return False
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if await connection.scalar(_THERE, {"name": name}):
        return False
    first, end = month.bounds(table.key_type)
    if month == current:
        # An insert that has chosen the default partition, and waits for it, would fail: let it wait before it chooses.
        await connection.execute(text(f"LOCK TABLE ONLY {table.name} IN SHARE ROW EXCLUSIVE MODE"))
    # Made aside and attached: CREATE TABLE ... PARTITION OF would lock the whole table against everybody.
    await connection.execute(text(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL EXCLUDING IDENTITY)"))
    rows = await _take_from_default(connection, table, name, first, end)
    await _guard_like(connection, table, name)
    await connection.execute(
        text(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')")
    )
    _log.info("partitions.made", table=table.name, partition=name, rows=rows)
    return True


async def _take_from_default(
    connection: AsyncConnection, table: PartitionedTable, name: str, first: str, end: str
) -> int:
    """Move the rows of the month that came before it was made; nobody sees a moment in between.

    Row-level security that is forced holds for the owner too, and a trigger may refuse to delete, so both are off for
    these statements: whoever wants the table waits for its lock until the transaction has ended.
    """
    default, key = table.default_partition, table.key
    # The lock that attaching needs, before the first row moves: no writer may put a row there in between.
    await connection.execute(text(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"))
    guarded = await connection.scalar(
        text("SELECT relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:name)"), {"name": default}
    )
    if guarded:
        await connection.execute(text(f"ALTER TABLE {default} NO FORCE ROW LEVEL SECURITY"))
    async with triggers_off(connection, default):  # to move is not to delete
        moved = await connection.execute(
            text(f"""
                WITH gone AS (DELETE FROM {default} WHERE {key} >= '{first}' AND {key} < '{end}' RETURNING *)
                INSERT INTO {name} SELECT * FROM gone
            """)  # noqa: S608 - names from the catalogue, times from here
        )
    if guarded:
        await connection.execute(text(f"ALTER TABLE {default} FORCE ROW LEVEL SECURITY"))
    return moved.rowcount


async def _guard_like(connection: AsyncConnection, table: PartitionedTable, name: str) -> None:
    """Close the way past the table: a partition has its triggers, and without a policy is empty for who reads it."""
    await copy_triggers(connection, table.name, name)
    secured = await connection.scalar(
        text("SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass(:name)"), {"name": table.name}
    )
    if secured:
        await connection.execute(text(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"))
        await connection.execute(text(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"))
