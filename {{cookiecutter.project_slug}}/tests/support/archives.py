"""What the tests of archives have in common: a table with the edge values of every type, and a storage to break."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive

NAME = "parcel/2026-01"
COLUMNS = """
    id uuid PRIMARY KEY, note text, tags text[], weight bigint, pieces integer, small smallint, fragile boolean,
    sent_at timestamptz, facts jsonb, label bytea, price numeric, code varchar(5)
"""
TABLE = f"CREATE TABLE parcel ({COLUMNS})"
EDGES = """
    INSERT INTO parcel VALUES
    ('00000000-0000-0000-0000-000000000001', '', '{}', -9223372036854775808, -2147483648, -32768, false, '-infinity',
     '{}', '', 'NaN', ''),
    ('00000000-0000-0000-0000-000000000002', E'\\\\ "quoted", (parens)\\n\\ttab \\u00e9 \\U0001F600',
     ARRAY['', 'NULL', NULL, 'a,b', E'"\\\\{}'], 9223372036854775807, 2147483647, 32767, true, 'infinity',
     '{"a": [1, 1.50, null, "\\u00e9"], "": {}}', '\\x00ff5c27', 'Infinity', 'abcde'),
    ('00000000-0000-0000-0000-000000000003', 'NULL', '{{a,b},{c,d}}', 0, 0, 0, NULL, '2026-01-01 00:00:00.000001+00',
     'null', '\\x2d', '-Infinity', '1:-'),
    ('00000000-0000-0000-0000-000000000004', '-', '[2:3]={x,y}', 1, -1, 1, true, '4713-01-01 00:00:00+00 BC',
     '"text"', decode(repeat('ab', 5000), 'hex'), 1.500, 'x '),
    ('00000000-0000-0000-0000-000000000005', repeat('long ', 5000), NULL, 1, -1, 1, true,
     '294276-12-31 23:59:59.999999+00', '1e-7', NULL,
     123456789012345678901234567890.000000000000000000000000000001, NULL),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
_PARCELS = text("""
    INSERT INTO parcel (id, note, weight, sent_at)
    SELECT gen_random_uuid(), md5(CAST(random() AS text)), n, now() + n * interval '1 second'
    FROM generate_series(1, :number) AS n
""")


async def execute(engine: AsyncEngine, *statements: str) -> None:
    """Commit statements."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def given_parcels(engine: AsyncEngine, number: int) -> None:
    """Make the table, with rows that compress badly."""
    await execute(engine, TABLE)
    async with engine.begin() as connection:
        await connection.execute(_PARCELS, {"number": number})


async def rows_of(engine: AsyncEngine, table: str) -> Sequence[str]:
    """Return a table's rows as PostgreSQL writes them."""
    async with engine.connect() as connection:
        query = f"SELECT CAST(t AS text) FROM {table} t ORDER BY t.id"  # noqa: S608 - of the test's own words
        return (await connection.exec_driver_sql(query)).scalars().all()


@asynccontextmanager
async def described(
    engine: AsyncEngine, relation: str = "parcel", key: Sequence[str] = ()
) -> AsyncIterator[tuple[AsyncConnection, archive.Source]]:
    """Yield a connection, and a table to archive."""
    async with engine.connect() as connection:
        yield connection, await archive.describe(connection, relation, key=key)


async def archived(
    engine: AsyncEngine, store: FolderStore, name: str = NAME, *, rows_per_object: int = 100_000
) -> archive.Manifest:
    """Archive all parcels."""
    async with described(engine) as (connection, source):
        return await archive.write(connection, store, source, name, rows_per_object=rows_per_object)


class FailingStore(FolderStore):
    """A folder that goes away after some objects."""

    def __init__(self, folder: Path, *, puts: int) -> None:
        super().__init__(folder)
        self._puts = puts

    async def put(self, name: str, body: bytes) -> bool:
        if self._puts == 0:
            raise ConnectionError("switched off by the test")
        self._puts -= 1
        return await super().put(name, body)
