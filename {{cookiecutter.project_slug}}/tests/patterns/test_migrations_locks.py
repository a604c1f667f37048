"""patterns/migrations: what the users of a table notice of a migration that wants it. Real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.patterns import migrations
from app.patterns.migrations import MigrationSettings, RunnerBusy
from tests.support.eventually import eventually
from tests.support.migrations import empty_folder, write_migration

pytestmark = pytest.mark.schema

DEADLOCK_TWICE = """
    CREATE FUNCTION deadlock_twice() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') < 3 THEN RAISE deadlock_detected; END IF;
    END $$
"""
INDEX = "DROP INDEX CONCURRENTLY IF EXISTS i; CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON busy (id)"


@pytest.fixture
async def settings(empty: AsyncEngine, tmp_path: Path) -> MigrationSettings:
    """Return the settings of a folder whose first migration has made the table that is to be busy."""
    settings = empty_folder(tmp_path)
    write_migration(tmp_path, "1", None, "CREATE TABLE busy (id bigint)")
    await migrations.upgrade(empty, settings)
    write_migration(tmp_path, "2", "1", "ALTER TABLE busy ADD COLUMN b text", undo="ALTER TABLE busy DROP COLUMN b")
    return settings


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_busy_table_is_given_up_and_tried_again(
    empty: AsyncEngine, settings: MigrationSettings, way: str
) -> None:
    """While one reader holds the table, others get past after each try; when it lets go, the migration goes through."""
    if way == "down":
        await migrations.upgrade(empty, settings)

    with capture_logs() as logs:
        async with long_reader(empty):
            migrating = asyncio.create_task(go(way, empty, settings))
            for tries in (1, 2, 3):
                await eventually(lambda: len(given_up(logs)) >= tries)  # noqa: B023 - awaited in the loop
                async with asyncio.timeout(5), empty.connect() as another:
                    await another.execute(text("SELECT count(*) FROM busy"))
            assert not migrating.done()
        await migrating

    assert (await migrations.schema_version(empty, ("2", "1"))).current == ("2" if way == "up" else "1")


async def test_a_reader_behind_the_migration_waits_for_one_try_only(
    empty: AsyncEngine, settings: MigrationSettings
) -> None:
    """A statement that queues behind the migration's lock is served when that gives up, not when the table is free."""
    patient = settings.model_copy(update={"lock_timeout_seconds": 1.0})
    with capture_logs() as logs:
        async with long_reader(empty):
            migrating = asyncio.create_task(go("up", empty, patient))
            await eventually(lambda: waiting_for_lock(empty, "ALTER TABLE%"))
            tries_before = len(given_up(logs))
            async with empty.connect() as another:
                await another.execute(text("SELECT count(*) FROM busy"))
            tries_after = len(given_up(logs))
        await migrating

    assert (tries_before, tries_after <= 1) == (0, True)


async def test_a_table_that_stays_busy_ends_the_migration(empty: AsyncEngine, settings: MigrationSettings) -> None:
    """After the last try the reason is PostgreSQL's own, and nothing has changed."""
    few = settings.model_copy(update={"attempts": 2, "lock_timeout_seconds": 0.05})

    with capture_logs() as logs:
        async with long_reader(empty):
            with pytest.raises(DBAPIError, match="lock timeout"):
                await migrations.upgrade(empty, few)

    assert len(given_up(logs)) == 1
    assert (await migrations.schema_version(empty, ("2", "1"))).current == "1"


async def test_a_migration_that_gave_way_in_a_deadlock_is_tried_again(
    empty: AsyncEngine, settings: MigrationSettings
) -> None:
    """PostgreSQL ends one of two transactions that wait for each other, and says which."""
    async with empty.begin() as connection:
        await connection.execute(text("CREATE SEQUENCE tries"))
        await connection.execute(text(DEADLOCK_TWICE))
    write_migration(settings.folder, "2", "1", "SELECT deadlock_twice()")

    with capture_logs() as logs:
        await migrations.upgrade(empty, settings)

    assert [line["reason"] for line in given_up(logs)] == ["deadlock_detected"] * 2
    assert (await migrations.schema_version(empty, ("2", "1"))).current == "2"


async def test_a_waiting_runner_does_not_stop_an_index_from_being_built(
    empty: AsyncEngine, settings: MigrationSettings
) -> None:
    """CREATE INDEX CONCURRENTLY waits for statements older than itself; a runner in the queue is not one of them."""
    write_migration(settings.folder, "2", "1", INDEX)
    patient = settings.model_copy(update={"lock_timeout_seconds": 30.0})

    with capture_logs() as logs:
        async with old_snapshot(empty) as end:
            first = asyncio.create_task(migrations.upgrade(empty, patient))
            await eventually(lambda: waiting_for_lock(empty, "CREATE INDEX%"))
            second = asyncio.create_task(migrations.upgrade(empty, patient))
            await eventually(lambda: [line for line in logs if line["event"] == "migrations.runner_awaited"])
            await end()
        async with asyncio.timeout(20):
            await asyncio.gather(first, second)

    assert given_up(logs) == []
    async with empty.connect() as connection:
        assert await connection.scalar(text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"))


async def test_an_index_that_was_broken_off_is_built_again(empty: AsyncEngine, settings: MigrationSettings) -> None:
    """The invalid index of the first try does not pass for the real one."""
    write_migration(settings.folder, "2", "1", INDEX)

    with capture_logs() as logs:
        async with old_snapshot(empty):
            migrating = asyncio.create_task(migrations.upgrade(empty, settings))
            await eventually(lambda: given_up(logs))
        await migrating

    async with empty.connect() as connection:
        assert await connection.scalar(text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"))


async def test_another_runner_that_does_not_finish_is_named(empty: AsyncEngine, settings: MigrationSettings) -> None:
    """Waiting for one's turn ends, too."""
    hasty = settings.model_copy(update={"statement_timeout_seconds": 0.3})
    async with empty.begin() as other:
        await other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrations.ADVISORY_LOCK})

        with pytest.raises(RunnerBusy, match="Another runner is at work"):
            await migrations.upgrade(empty, hasty)


async def go(way: str, engine: AsyncEngine, settings: MigrationSettings) -> None:
    """Migrate in one of the directions."""
    await (migrations.upgrade(engine, settings) if way == "up" else migrations.downgrade(engine, settings, "1"))


def given_up(logs: Sequence[MutableMapping[str, Any]]) -> Sequence[MutableMapping[str, Any]]:
    """Return the lines that say that a try has ended without its lock."""
    return [line for line in logs if line["event"] == "migrations.table_busy"]


@asynccontextmanager
async def long_reader(engine: AsyncEngine) -> AsyncIterator[None]:
    """Hold the table of these tests, as a long report does."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT count(*) FROM busy"))
        yield


@asynccontextmanager
async def old_snapshot(engine: AsyncEngine) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold a snapshot, which building an index has to wait for; what is yielded ends it before the block does."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(text("SELECT 1 FROM pg_class"))
        yield connection.rollback


async def waiting_for_lock(engine: AsyncEngine, statement: str) -> bool:
    """Tell whether a statement like this one waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE :statement"
    async with engine.connect() as connection:
        return bool(await connection.scalar(text(query), {"statement": statement}))
