"""Rows for any table: values by type, and by name where a constraint wants more than a type."""

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

# For row number n. A column that a check or foreign key is strict about stands in _BY_NAME.
_BY_TYPE = {
    "text": "md5(n::text)",
    "bigint": "n",
    "integer": "n",
    "smallint": "(n % 64)",
    "boolean": "false",
    "uuid": "gen_random_uuid()",
    "jsonb": "'{}'::jsonb",
    "int8multirange": "int8multirange(int8range(n, n + 1))",
    "bytea": "sha256(n::text::bytea)",
    "date": "current_date",
    "timestamp with time zone": "clock_timestamp()",
}
_BY_NAME = {
    "orders.state": "'pending'",
    "orders.currency": "'EUR'",
}
_TABLES = text("""
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND NOT relispartition AND relname <> 'alembic_version'
""")
_NEEDED = text("""
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attnum > 0 AND attnotnull
    AND NOT atthasdef AND attidentity = '' AND NOT attisdropped
""")


class CannotFill(Exception):
    """A table wants values that nobody has told."""


async def tables(connection: AsyncConnection) -> set[str]:
    """Return the tables of the service; a partition is not one of its own."""
    return set(await connection.scalars(_TABLES))


async def insert_into(connection: AsyncConnection, table: str) -> str:
    """Return a statement that inserts rows :first to :last.

    Raises:
        CannotFill: a column's type is not known here.
    """
    needed = [(name, type_) for name, type_ in await connection.execute(_NEEDED, {"table": table})]
    values = [_BY_NAME.get(f"{table}.{name}") or _BY_TYPE.get(type_) for name, type_ in needed]
    if None in values:
        raise CannotFill(f"{table} has columns of types that dev/migration_drill/rows.py does not know: {needed}")
    names, told = ", ".join(name for name, _ in needed), ", ".join(map(str, values))
    rows = "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n"
    return f"INSERT INTO {table} ({names}) SELECT {told} FROM {rows} ON CONFLICT DO NOTHING"  # noqa: S608 - ours


async def seed(connection: AsyncConnection, table: str, rows: int) -> None:
    """Fill a table.

    Raises:
        CannotFill: it refuses what it is given.
    """
    try:
        await connection.execute(text(await insert_into(connection, table)), {"first": 1, "last": rows})
    except IntegrityError as exc:
        raise CannotFill(
            f"{table} refuses a generated row: {exc.orig}; say in _BY_NAME of dev/migration_drill/rows.py what it wants"
        ) from exc
