"""Triggers that PostgreSQL does not look after: a statement's own are neither inherited by a partition nor copied.

Those of rows are: attaching a partition gives it its own, tied to the table's.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_BY_STATE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS", "D": "DISABLE"}

# What was made by a user and fires once per statement: the lowest bit of its type says "for each row".
_OF_STATEMENTS = text("""
    SELECT quote_ident(t.tgname) AS name, CAST(t.tgenabled AS text) AS state,
        replace(pg_get_triggerdef(t.oid), format(' ON %I.%I ', n.nspname, c.relname),
            format(' ON %I.%I ', n.nspname, CAST(:partition AS text))) AS definition
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid = to_regclass(:table) AND NOT t.tgisinternal AND t.tgtype & 1 = 0
    ORDER BY t.tgname
""")
_THAT_FIRE = text("""
    SELECT quote_ident(tgname) AS name, CAST(tgenabled AS text) AS state
    FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname
""")


async def copy_triggers(connection: AsyncConnection, table: str, partition: str) -> None:
    """Give a partition the table's statement triggers, each enabled as it is there, for who comes past the table."""
    for trigger in (await connection.execute(_OF_STATEMENTS, {"table": table, "partition": partition})).all():
        await connection.exec_driver_sql(trigger.definition)  # its colons are no parameters
        await _set(connection, partition, [(trigger.name, _BY_STATE[trigger.state])])


@asynccontextmanager
async def triggers_off(connection: AsyncConnection, table: str) -> AsyncIterator[None]:
    """Let no trigger of the table fire within the block; afterwards each is as it was."""
    firing = (await connection.execute(_THAT_FIRE, {"table": table})).all()
    await _set(connection, table, [(trigger.name, "DISABLE") for trigger in firing])
    yield  # not in a finally: after a failed statement the transaction takes nothing more, and rolls this back
    await _set(connection, table, [(trigger.name, _BY_STATE[trigger.state]) for trigger in firing])


async def _set(connection: AsyncConnection, table: str, states: Sequence[tuple[str, str]]) -> None:
    for name, state in states:
        await connection.execute(text(f"ALTER TABLE {table} {state} TRIGGER {name}"))
