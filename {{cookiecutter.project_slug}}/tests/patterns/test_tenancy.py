"""patterns/tenancy.py, and every table of tenants: nobody sees, changes or takes the rows of another tenant."""

from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.context import Context, bind
from app.kit.db import DatabaseSettings, create_engine, transaction
from app.patterns.tenancy import JOBS_ROLE, USER_ROLE, TenantMissing, across_tenants, require_tenant
from dev.postgres import JOBS_LOGIN, SERVICE_LOGIN
from tests.support.log_lines import configured_log
from tests.support.tenancy import ATTACKER, SEEDS, VICTIM, leaks, seed, tenant_tables

WITHOUT_TENANT = {"alembic_version", "inbox", "legal_hold", "outbox_lane", "retention_run"}
"""Tables that hold nothing of a customer's; of holds on customers no role of the service can read."""
_TABLES = text("""
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
""")
EngineAs = Callable[[str, str], AsyncEngine]


@pytest.fixture
async def engine_as(database_url: str) -> AsyncIterator[EngineAs]:
    """Yield a function that returns an engine for a login, acting as a role, with a pool of one connection."""
    made: list[AsyncEngine] = []

    def make(login: str, role: str) -> AsyncEngine:
        url = make_url(database_url).set(username=login).render_as_string(hide_password=False)
        settings = DatabaseSettings.model_validate({"url": url, "pool_size": 1})
        made.append(create_engine(settings, application_name="test", role=role))
        return made[-1]

    yield make
    for engine in made:
        await engine.dispose()


@pytest.fixture
async def user(engine: AsyncEngine, engine_as: EngineAs) -> AsyncEngine:
    """Return the engine that requests use, on a database where two tenants have rows."""
    await seed(engine)
    return engine_as(SERVICE_LOGIN, USER_ROLE)


@pytest.mark.parametrize("table", SEEDS)
@pytest.mark.parametrize("tenant", [ATTACKER, "", None], ids=["another tenant", "an empty tenant", "no tenant"])
async def test_a_tenants_rows_are_out_of_reach(user: AsyncEngine, table: str, tenant: str | None) -> None:
    """Not to be read, changed, taken over, given away, deleted, locked, forged or emptied, whatever a query forgets."""
    assert await leaks(user, table, tenant=tenant) == []


@pytest.mark.parametrize("table", SEEDS)
async def test_the_attacks_succeed_without_the_policy(engine: AsyncEngine, user: AsyncEngine, table: str) -> None:
    """They are real attacks: with row-level security off, and no right missing, they find a way in."""
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"))
        await connection.execute(text(f"GRANT ALL ON {table} TO {USER_ROLE}"))

    assert await leaks(user, table, tenant=ATTACKER) != []


@pytest.mark.schema
async def test_every_table_is_known_by_its_tenant_or_for_having_none(engine: AsyncEngine) -> None:
    """A new table either has rows in the attacks above, or a reason here."""
    async with engine.connect() as connection:
        tables = set(await connection.scalars(_TABLES))

    assert set(await tenant_tables(engine)) == set(SEEDS)
    assert tables == set(SEEDS) | WITHOUT_TENANT


@pytest.mark.schema
async def test_every_table_of_tenants_forces_its_policies(engine: AsyncEngine) -> None:
    """Also on its owner; and a policy for everybody there is none."""
    async with engine.connect() as connection:
        forced = await connection.scalars(
            text("""
                SELECT relname FROM pg_class
                WHERE relrowsecurity AND relforcerowsecurity AND NOT relispartition ORDER BY relname
            """)
        )
        policies = await connection.execute(text("SELECT roles::text[] AS roles FROM pg_policies"))
        owner = await connection.scalar(text("SELECT current_user"))

        assert forced.all() == sorted(SEEDS)
        assert {role for policy in policies for role in policy.roles} == {USER_ROLE, JOBS_ROLE, owner}


@pytest.mark.schema
async def test_the_owner_may_do_no_more_than_drop_a_month_of_the_audit_log(engine: AsyncEngine) -> None:
    """It reads what proves that the month may go, and writes down that it went; it reads no entry."""
    policies = text("SELECT tablename, cmd FROM pg_policies WHERE roles = ARRAY[current_user] ORDER BY 1, 2")
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(policies)]

    assert found == [
        ("audit_dropped", "INSERT"),
        ("audit_dropped", "SELECT"),
        ("audit_export", "SELECT"),
        ("audit_log", "INSERT"),
        ("audit_seal", "SELECT"),
    ]


async def test_no_partition_can_be_read_past_its_table(engine: AsyncEngine) -> None:
    """A partition is a table too: it forces row-level security, and nobody but its owner has a right to it."""
    async with engine.connect() as connection:
        open_ones = await connection.scalars(
            text("""
                SELECT relname FROM pg_class
                WHERE relispartition AND relkind = 'r'
                  AND NOT (relrowsecurity AND relforcerowsecurity AND relacl IS NULL)
            """)
        )
        assert open_ones.all() == []


async def test_the_roles_own_nothing_and_bypass_nothing(engine: AsyncEngine) -> None:
    """Neither they nor the logins of the service: whoever owns a table could take its policies away."""
    names = [USER_ROLE, JOBS_ROLE, SERVICE_LOGIN, JOBS_LOGIN]
    async with engine.connect() as connection:
        strong = await connection.scalars(
            text("""
                SELECT rolname FROM pg_roles r WHERE rolname = ANY(:names) AND (
                    rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb
                    OR EXISTS (SELECT FROM pg_class WHERE relowner = r.oid)
                )
            """),
            {"names": names},
        )
        assert strong.all() == []


async def test_a_request_cannot_become_a_job(engine_as: EngineAs) -> None:
    """The login of requests is no member of the role that sees everybody's rows."""
    with pytest.raises(DBAPIError, match="permission denied to set role"):
        async with engine_as(SERVICE_LOGIN, USER_ROLE).connect() as connection:
            await connection.execute(text(f"SET ROLE {JOBS_ROLE}"))


async def test_a_connection_keeps_no_tenant_in_the_pool(user: AsyncEngine) -> None:
    """What one transaction was told is gone with it, also when it failed: the next on the connection has nothing."""
    orders = text("SELECT count(*) FROM orders")
    with bind(Context(tenant=VICTIM)):
        async with transaction(user) as session:
            assert await session.scalar(orders) == 1
        with pytest.raises(ZeroDivisionError):
            async with transaction(user) as session:
                raise ZeroDivisionError

    async with transaction(user) as session:
        assert await session.scalar(orders) == 0
    with bind(Context(tenant=ATTACKER)):
        async with transaction(user) as session:
            assert await session.scalar(orders) == 1


async def test_a_fresh_connection_without_a_tenant_is_refused(user: AsyncEngine) -> None:
    """Nobody has ever said whose rows these are: that is a mistake, and looks like one."""
    with pytest.raises(DBAPIError, match=r"app\.tenant"):
        async with transaction(user) as session:
            await session.scalar(text("SELECT count(*) FROM orders"))


async def test_a_job_sees_all_tenants_where_it_may(engine: AsyncEngine, engine_as: EngineAs) -> None:
    """The relay's and the settlement's tables, and not what they have no business with; it leaves a trace."""
    await seed(engine)
    jobs = engine_as(JOBS_LOGIN, JOBS_ROLE)
    before = _crossings()

    with configured_log() as log:
        async with across_tenants(jobs, job="settlement") as crossing:
            crossing.rows = int(await crossing.session.scalar(text("SELECT count(*) FROM orders")) or 0)
        assert await _count(jobs, "outbox") == 2

    assert crossing.rows == 2
    assert _crossings() == before + 1
    (line,) = [line for line in log.lines if line["event"] == "security.tenants_crossed"]
    assert (line["job"], line["rows"]) == ("settlement", 2)
    with pytest.raises(DBAPIError, match="permission denied"):
        await _count(jobs, "order_timeline")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE orders SET total_minor = 1", "DELETE FROM orders", "UPDATE outbox SET envelope = '{}'"],
)
async def test_a_job_changes_only_what_it_is_for(engine_as: EngineAs, statement: str) -> None:
    """It may postpone an order and delete an event; it cannot rewrite either."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with engine_as(JOBS_LOGIN, JOBS_ROLE).begin() as connection:
            await connection.execute(text(statement))


def test_work_without_a_tenant_is_refused() -> None:
    """Before anything is asked of the database."""
    with bind(Context()), pytest.raises(TenantMissing):
        require_tenant()


async def _count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM TABLE".replace("TABLE", table))) or 0)


def _crossings() -> float:
    return REGISTRY.get_sample_value("tenancy_crossings_total", {"job_name": "settlement"}) or 0
