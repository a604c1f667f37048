"""A log that goes over the end of a month, and the month that is dropped: as the tables' owner does it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import ManualClock
from app.patterns.audit_log import before_drop, dropped, merkle
from app.patterns.audit_log.dropped import Record
from app.patterns.audit_log.segments import GENESIS, Seal
from app.patterns.partitions import PartitionSettings, make_ahead
from tests.support.audit import looking, seal_all, sealer_of, tamper

JANUARY, FEBRUARY = datetime(2020, 1, 31, 23, 59, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
FIRST_MONTH, SECOND_MONTH = "audit_log_2020_01", "audit_log_2020_02"
# Of each segment: the month of each entry. Clocks of different connections are not read in the order of ids.
SEGMENTS = (
    ("acme", (JANUARY, JANUARY, JANUARY)),  # ids 1 to 3
    ("acme", (JANUARY, FEBRUARY, JANUARY)),  # 4 to 6
    ("acme", (FEBRUARY, FEBRUARY, FEBRUARY)),  # 7 to 9
    ("globex", (JANUARY, JANUARY)),  # 10 and 11
    ("globex", (FEBRUARY,)),  # 12
)
INSERT = text("""
    INSERT INTO audit_log (recorded_at, tenant_id, actor, request_id, trace_id, action, resource_type, resource_id)
    VALUES (:at, :tenant, 'ann', '', '', 'order.placed', 'order', '1')
""")


async def given_months(engine: AsyncEngine) -> None:
    """Make both months, and write and seal the log."""
    await make_ahead(engine, PartitionSettings(months_ahead=1), ManualClock(JANUARY))
    async with sealer_of(engine) as sealer:
        for tenant, months in SEGMENTS:
            await given_entries_at(engine, *months, tenant=tenant)
            await seal_all(sealer)


async def given_entries_at(engine: AsyncEngine, *times: datetime, tenant: str = "acme") -> None:
    """Commit an entry of each time."""
    async with engine.begin() as connection:
        for at in times:
            await connection.execute(INSERT, {"at": at, "tenant": tenant})


async def drop(owner: AsyncEngine, partition: str) -> None:
    """Drop a month as a command of the owner does."""
    async with owner.begin() as connection:
        await let_read(connection, partition)
        await before_drop(connection, partition)
        await connection.execute(text(f"DROP TABLE {partition}"))


async def let_read(connection: AsyncConnection, partition: str) -> None:
    """Let the owner see the entries of one partition."""
    await connection.execute(text(f"ALTER TABLE {partition} NO FORCE ROW LEVEL SECURITY"))


async def records(engine: AsyncEngine, tenant: str = "acme") -> Sequence[Record]:
    """Return what is recorded as dropped."""
    async with looking(engine) as connection:
        return (await dropped.read(connection, tenant)).records


async def leaves(engine: AsyncEngine, *positions: range) -> Sequence[bytes]:
    """Return what is sealed at positions of `acme`."""
    async with looking(engine) as connection:
        rows = await connection.execute(text("SELECT * FROM audit_seal WHERE tenant_id = 'acme' ORDER BY number"))
        sealed = [leaf for row in rows for leaf in Seal.from_row(row).leaves]
    return [sealed[position - 1] for part in positions for position in part]


async def forged(engine: AsyncEngine, before: Record | None, *positions: range, partition: str) -> Record:
    """Return a record that has nothing wrong in itself, and stands right after another."""
    found = await leaves(engine, *positions)
    return Record(
        tenant="acme",
        number=before.number + 1 if before else 1,
        partition=partition,
        first_id=1,
        last_id=9,
        entries=len(found),
        positions=positions,
        root=merkle.root(found),
        previous=before.hash if before else GENESIS,
        dropped_at=FEBRUARY,
    ).hashed()


async def put(engine: AsyncEngine, *records: Record) -> None:
    """Write records in the place of those of the same number, as only a superuser can."""
    for record in records:
        row = record.to_row()
        parts = ", ".join(f"[{it.start},{it.stop})" for it in record.positions)
        await tamper(
            engine,
            f"""
            INSERT INTO audit_dropped VALUES ('{record.tenant}', {record.number}, '{record.partition}',
                {record.first_id}, {record.last_id}, {record.entries}, '{{{parts}}}', '\\x{row["root"].hex()}',
                '\\x{row["previous"].hex()}', '\\x{row["hash"].hex()}', '{record.dropped_at.isoformat()}')
            ON CONFLICT (tenant_id, number) DO UPDATE SET (partition, first_id, last_id, entries, positions, root,
                previous, hash, dropped_at) = (excluded.partition, excluded.first_id, excluded.last_id,
                excluded.entries, excluded.positions, excluded.root, excluded.previous, excluded.hash,
                excluded.dropped_at)
            """,  # noqa: S608 - of this module's own words
        )
