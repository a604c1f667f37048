"""patterns/audit_log: nobody changes an entry. First wall: nobody has the right. Second: triggers, for who has it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit.context import Context, bind
from tests.support.audit import acting_as, write

TABLE = pytest.mark.parametrize("table", ["audit_log", "audit_seal", "audit_export", "audit_dropped"])
CHANGE = pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE {table} SET tenant_id = 'globex'", id="update"),
        pytest.param("DELETE FROM {table}", id="delete"),
        pytest.param("TRUNCATE {table}", id="truncate"),
    ],
)


@TABLE
@CHANGE
@pytest.mark.parametrize("role", ["app_user", "app_jobs"])
async def test_nobody_of_the_service_has_the_right_to_change(
    database_url: str, role: str, change: str, table: str
) -> None:
    """Neither role may update, delete or truncate: PostgreSQL refuses before any trigger is asked."""
    async with acting_as(role, database_url) as engine, engine.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(change.format(table=table)))


@TABLE
@pytest.mark.parametrize(
    "change", ["UPDATE {table} SET tenant_id = 'globex'", "DELETE FROM {table}", "TRUNCATE {table}"]
)
@pytest.mark.parametrize("mode", ["origin", "replica"])
async def test_triggers_stop_the_owner_too(engine: AsyncEngine, mode: str, change: str, table: str) -> None:
    """The second wall: for whoever has every right, also in a session that replays another server's changes."""
    async with engine.connect() as connection:
        await connection.execute(text(f"SET LOCAL session_replication_role = {mode}"))
        with pytest.raises(DBAPIError, match=f"{table} is only appended to"):
            await connection.execute(text(change.format(table=table)))


@pytest.mark.parametrize("column", ["id", "recorded_at", "transaction_id"])
async def test_a_writer_does_not_choose_its_place(database_url: str, column: str) -> None:
    """Place, time and transaction are the database's to say: nobody slips an entry in among older ones."""
    value = "now()" if column == "recorded_at" else "1"
    query = f"""
        INSERT INTO audit_log ({column}, tenant_id, actor, request_id, trace_id, action, resource_type, resource_id)
        OVERRIDING SYSTEM VALUE VALUES ({value}, 'acme', '', '', '', '', '', '')
    """  # noqa: S608 - of this test's own words
    with bind(Context(tenant="acme")):
        async with acting_as("app_user", database_url) as engine, AsyncSession(engine) as session:
            await session.execute(text("SELECT set_config('app.tenant', 'acme', true)"))
            with pytest.raises(DBAPIError, match="permission denied"):
                await session.execute(text(query))


async def test_nobody_writes_for_another_tenant(database_url: str) -> None:
    """The policy compares the entry's tenant with the one of the work in hand."""
    with bind(Context(tenant="acme")):
        async with acting_as("app_user", database_url) as engine, AsyncSession(engine) as session:
            await session.execute(text("SELECT set_config('app.tenant', 'acme', true)"))
            with pytest.raises(DBAPIError, match="row-level security"):
                await write(session, 1, tenant="globex")


async def test_nobody_of_the_service_says_that_a_month_was_dropped(database_url: str) -> None:
    """That is the owner's to say: a false word of it would be an alarm."""
    with bind(Context(tenant="acme")):
        async with acting_as("app_user", database_url) as engine, AsyncSession(engine) as session:
            await session.execute(text("SELECT set_config('app.tenant', 'acme', true)"))
            with pytest.raises(DBAPIError, match="row-level security"):
                await write(session, 1, action="audit_log.dropped")


@TABLE
async def test_a_request_cannot_read(database_url: str, table: str) -> None:
    """Whoever takes over the HTTP process learns nothing of what others did."""
    with bind(Context(tenant="acme")):
        async with acting_as("app_user", database_url) as engine, AsyncSession(engine) as session:
            await session.execute(text("SELECT set_config('app.tenant', 'acme', true)"))
            with pytest.raises(DBAPIError, match="permission denied"):
                await session.execute(text(f"SELECT FROM {table}"))
