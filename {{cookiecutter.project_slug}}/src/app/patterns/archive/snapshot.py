"""The transactions of this pattern: values have one text form in them, and no policy hides a row."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SETTINGS = {
    "datestyle": "ISO, MDY",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "statement_timeout": "0",  # an archive takes as long as it takes
    "idle_in_transaction_session_timeout": "600000",  # storage is written to while the cursor is open
    "app.archive": "on",  # found again below
}


@asynccontextmanager
async def transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    """Begin a transaction in which types have one text form; `connection` must not have begun one."""
    async with connection.begin():
        await _set(connection, _SETTINGS)
        yield


@asynccontextmanager
async def snapshot(connection: AsyncConnection, relation: str) -> AsyncIterator[None]:
    """Begin a transaction that sees all rows of `relation` at one moment, or fails where a policy would hide some."""
    async with connection.begin():
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        # Before the first look, so that no column can come between the catalogue and the rows.
        await connection.execute(text(f"LOCK TABLE {relation} IN ACCESS SHARE MODE"))
        await _set(connection, {**_SETTINGS, "row_security": "off"})
        yield


async def _set(connection: AsyncConnection, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        await connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
    if await connection.scalar(text("SELECT current_setting('app.archive', true)")) != "on":
        raise RuntimeError("the connection commits each statement: an archive needs a transaction")
