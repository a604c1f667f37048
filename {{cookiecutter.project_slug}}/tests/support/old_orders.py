"""Orders of months that are long over, in the table of their month."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.patterns.partitions import Month, PartitionSettings, make_ahead

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DUE = Month(2024, 10)
"""The last month that is due, by rules of 730 days."""
PATIENCE = PartitionSettings(months_ahead=1, lock_timeout_seconds=0.1)
# UUIDs of version 7 from the month's beginning on, a second apart.
_ORDERS = text("""
    INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, settle_after, version)
    SELECT CAST(lpad(to_hex(CAST(:first AS bigint) + n * 1000), 12, '0') || '7000'
            || substr(md5(CAST(:tenant AS text) || n), 1, 16) AS uuid),
        CAST(:tenant AS text), 'pending', 'EUR', n, '[]', now(), CASE WHEN n <= CAST(:open AS integer) THEN now() END, 1
    FROM generate_series(1, :number) AS n
""")
_TIMELINE = text("""
    INSERT INTO order_timeline (tenant_id, order_id, position, event_id, type, occurred_at)
    SELECT tenant_id, id, 1, gen_random_uuid(), 'order.placed', now() FROM orders WHERE id >= :first AND id < :end
""")


async def given_months(engine: AsyncEngine, *months: Month) -> None:
    """Make partitions of months."""
    for month in months:
        await make_ahead(engine, PATIENCE, ManualClock(month.begins))


async def given_orders(engine: AsyncEngine, month: Month, numbers: Mapping[str, int], *, still_open: int = 0) -> None:
    """Put so many orders of each tenant into a month, some of them still open, with a line of the timeline each."""
    first, end = month.bounds("uuid")
    milliseconds = int(month.begins.timestamp() * 1000)
    async with engine.begin() as connection:
        for tenant, number in numbers.items():
            told = {"first": milliseconds, "tenant": tenant, "number": number, "open": still_open}
            await connection.execute(_ORDERS, told)
        await connection.execute(_TIMELINE, {"first": first, "end": end})


async def rows(engine: AsyncEngine, table: str) -> Sequence[str]:
    """Return rows as PostgreSQL writes them, in order."""
    async with engine.connect() as connection:
        return (await connection.scalars(text(f"SELECT CAST(t AS text) FROM {table} t ORDER BY 1"))).all()  # noqa: S608


async def count(engine: AsyncEngine, table: str, where: str = "true") -> int:
    """Return how many rows there are."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}")) or 0)  # noqa: S608


async def exists(engine: AsyncEngine, table: str) -> bool:
    """Tell whether there is a table of that name."""
    async with engine.connect() as connection:
        return bool(await connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table}))


async def run(engine: AsyncEngine, *statements: str) -> None:
    """Commit statements."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
