"""patterns/idempotency: who may do what with the table of keys, and what is deleted when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.db import create_engine, transaction
from app.patterns.idempotency import sweep
from app.patterns.idempotency.store import delete_expired
from app.patterns.tenancy import JOBS_ROLE, USER_ROLE, Crossing, across_tenants
from tests.support.eventually import eventually
from tests.support.idempotency import begin, begun, database, finish, key, once


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def user(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that acts as a request does."""
    engine = create_engine(database(database_url), application_name="test", role=USER_ROLE)
    yield engine
    await engine.dispose()


@pytest.fixture
async def jobs(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that acts as the worker's jobs do."""
    engine = create_engine(database(database_url), application_name="test", role=JOBS_ROLE)
    yield engine
    await engine.dispose()


async def test_expired_keys_are_deleted_in_batches(user: AsyncEngine, jobs: AsyncEngine, clock: ManualClock) -> None:
    """Of all tenants, the oldest first, and none that is still good."""
    for number in range(3):
        await begin(user, once(clock, key(f"old-{number}")))
        clock.advance(1)
    async with begun(user, "zeta") as session:
        await once(clock, key("old", tenant="zeta")).begin(session, "thing")
    clock.advance(24 * 3600)
    await begin(user, once(clock, key("good")))

    deleted = []
    for _ in range(3):
        async with across_tenants(jobs, job="idempotency") as crossing:
            deleted.append(await delete_expired(crossing.session, now=clock.now(), limit=3))

    assert deleted == [3, 1, 0]
    async with across_tenants(jobs, job="idempotency") as crossing:
        left = await crossing.session.execute(text("SELECT tenant_id, key FROM idempotency_key"))
        assert left.all() == [("acme", key("good").digest)]


async def test_the_sweeper_deletes_until_nothing_is_left(
    engine: AsyncEngine, jobs: AsyncEngine, clock: ManualClock
) -> None:
    """More than one batch at once, and it tells what it took from all tenants."""
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO idempotency_key
                SELECT 'acme', sha256(n::text::bytea), '', '', :old, :old FROM generate_series(1, 2500) AS n
            """),
            {"old": clock.now() - timedelta(days=1)},
        )
    stop = asyncio.Event()
    took = []

    @asynccontextmanager
    async def crossing() -> AsyncIterator[Crossing]:
        async with across_tenants(jobs, job="idempotency") as opened:
            yield opened
            took.append(opened.rows)

    sweeping = asyncio.create_task(sweep(crossing, clock, stop))
    await eventually(lambda: len(took) == 3)
    stop.set()
    await sweeping

    assert took == [1000, 1000, 500]


async def test_the_sweeper_waits_for_a_database_that_is_down(clock: ManualClock) -> None:
    """It ends only when it is told to."""
    nobody = create_engine(database("postgresql+asyncpg://postgres@127.0.0.1:1/none"), application_name="test")
    stop = asyncio.Event()
    tried = asyncio.Event()

    @asynccontextmanager
    async def crossing() -> AsyncIterator[Crossing]:
        tried.set()
        async with across_tenants(nobody, job="idempotency") as opened:
            yield opened

    sweeping = asyncio.create_task(sweep(crossing, clock, stop))
    async with asyncio.timeout(10):
        await tried.wait()
        stop.set()
        await sweeping

    assert sweeping.exception() is None


async def test_keys_of_another_tenant_are_not_there(user: AsyncEngine, clock: ManualClock) -> None:
    """Neither to be read nor to be changed, and none can be made in its name."""
    first = once(clock)
    await begin(user, first)
    await finish(user, first)

    async with begun(user, "zeta") as session:
        seen = (await session.execute(text("SELECT count(*) FROM idempotency_key"))).scalar_one()
        changed = (await session.execute(text("UPDATE idempotency_key SET resource = '' RETURNING 1"))).all()
    with pytest.raises(DBAPIError, match="row-level security"):
        async with begun(user, "zeta") as session:
            await once(clock, key("k-2", tenant="acme")).begin(session, "thing")

    assert (seen, changed) == (0, [])


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT body FROM idempotency_key", id="read an answer"),
        pytest.param("UPDATE idempotency_key SET status = 200", id="change an answer"),
        pytest.param(
            "INSERT INTO idempotency_key SELECT 'acme', '', '', '', now(), now()", id="make a key"
        ),
        pytest.param("TRUNCATE idempotency_key", id="truncate"),
    ],
)  # fmt: skip
async def test_the_job_that_deletes_can_do_nothing_else(jobs: AsyncEngine, statement: str) -> None:
    """It needs the keys' times, and gets nothing more."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with across_tenants(jobs, job="idempotency") as crossing:
            await crossing.session.execute(text(statement))


async def test_a_request_cannot_delete_a_key(user: AsyncEngine) -> None:
    """A key that is gone could be used a second time."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with begun(user) as session:
            await session.execute(text("DELETE FROM idempotency_key"))


async def test_a_table_without_a_tenant_in_hand_is_closed(user: AsyncEngine) -> None:
    """Work that belongs to no tenant sees no key: the database refuses to answer."""
    with pytest.raises(DBAPIError, match=r"app\.tenant"):
        async with transaction(user) as session:
            await session.execute(text("SELECT 1 FROM idempotency_key"))
