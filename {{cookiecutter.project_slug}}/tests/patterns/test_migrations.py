"""patterns/migrations.py: one runner, short locks, both ways. Real PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.kit.db import Base, DatabaseSettings, create_engine
from app.patterns import migrations
from app.patterns.migrations import MigrationSettings, SchemaOutOfDate
from dev.environment import ROOT
from dev.postgres import PostgreSQL
from tests.support.eventually import eventually

SETTINGS = MigrationSettings(folder=ROOT / "migrations", lock_timeout_seconds=0.2)


@pytest.fixture
async def empty(postgres: PostgreSQL) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on a database without any table."""
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    engine = create_engine(DatabaseSettings.model_validate({"url": postgres.url(name)}), application_name="test")
    yield engine
    await engine.dispose()
    postgres.drop_database(name)


async def test_an_empty_database_is_brought_to_the_newest_revision(empty: AsyncEngine) -> None:
    """The first run does everything, the second finds nothing to do."""
    newest, *_ = migrations.revisions(SETTINGS)

    first = await migrations.upgrade(empty, SETTINGS)
    second = await migrations.upgrade(empty, SETTINGS)

    assert (first.current, first.head) == (None, newest)
    assert second.up_to_date


async def test_runners_that_start_together_do_it_once(empty: AsyncEngine) -> None:
    """The others wait for the first one and then find nothing left."""
    versions = await asyncio.gather(*(migrations.upgrade(empty, SETTINGS) for _ in range(4)))

    assert {version.head for version in versions} == {migrations.revisions(SETTINGS)[0]}
    await migrations.require_up_to_date(empty, migrations.revisions(SETTINGS))


async def test_at_the_newest_revision_nothing_is_locked(engine: AsyncEngine) -> None:
    """A runner of an up-to-date release does not even wait for one that is at work."""
    async with engine.begin() as other:
        await other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrations.ADVISORY_LOCK})
        async with asyncio.timeout(5):
            assert (await migrations.upgrade(engine, SETTINGS)).up_to_date


async def test_a_busy_table_is_waited_for_briefly_and_tried_again(empty: AsyncEngine, tmp_path: Path) -> None:
    """The runner gives its place in the lock queue up, so that others get past, and comes back."""
    settings = SETTINGS.model_copy(update={"folder": tmp_path})
    shutil.copy(ROOT / "migrations" / "env.py", tmp_path)
    write_migration(tmp_path, "0001", None, "CREATE TABLE busy ()")
    await migrations.upgrade(empty, settings)
    write_migration(tmp_path, "0002", "0001", "ALTER TABLE busy ADD COLUMN name text")

    with capture_logs() as logs:
        async with empty.begin() as reader:
            await reader.execute(text("SELECT FROM busy"))  # holds its lock until the transaction ends
            upgrading = asyncio.create_task(migrations.upgrade(empty, settings))
            await eventually(lambda: [line for line in logs if line["event"] == "migrations.table_busy"])
        await upgrading

    await migrations.require_up_to_date(empty, ("0002", "0001"))


async def test_a_wrong_migration_is_rolled_back_and_those_before_it_stay(empty: AsyncEngine, tmp_path: Path) -> None:
    """A failure in the middle leaves a defined state."""
    settings = SETTINGS.model_copy(update={"folder": tmp_path})
    shutil.copy(ROOT / "migrations" / "env.py", tmp_path)
    write_migration(tmp_path, "0001", None, "CREATE TABLE good ()")
    write_migration(tmp_path, "0002", "0001", "CREATE TABLE half (); SELECT 1 / 0")

    with pytest.raises(DBAPIError, match="division by zero"):
        await migrations.upgrade(empty, settings)

    assert await _tables(empty) == {"alembic_version", "good"}
    assert (await migrations.schema_version(empty, ("0002", "0001"))).current == "0001"


async def test_a_database_behind_the_code_is_named(empty: AsyncEngine) -> None:
    """Readiness says what to do about it."""
    with pytest.raises(SchemaOutOfDate, match="run `app migrate`"):
        await migrations.require_up_to_date(empty, migrations.revisions(SETTINGS))


async def test_a_database_ahead_of_the_code_is_fine(empty: AsyncEngine) -> None:
    """While a new release rolls out, processes of the old one stay ready, and its `migrate` does nothing."""
    await migrations.upgrade(empty, SETTINGS)
    async with empty.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999_of_a_later_release'"))

    version = await migrations.upgrade(empty, SETTINGS)
    await migrations.require_up_to_date(empty, migrations.revisions(SETTINGS))

    assert (version.current, version.up_to_date) == ("9999_of_a_later_release", True)


def test_a_folder_without_migrations_is_an_error(tmp_path: Path) -> None:
    """A wrong path must not look like an up-to-date schema."""
    with pytest.raises(FileNotFoundError, match="no migrations in"):
        migrations.revisions(MigrationSettings(folder=tmp_path))


def test_the_revisions_are_those_that_alembic_sees() -> None:
    """Reading them without Alembic gives the same line, the newest first."""
    line = [script.revision for script in ScriptDirectory(str(SETTINGS.folder)).walk_revisions()]

    assert list(migrations.revisions(SETTINGS)) == line
    assert len(line) > 1


@pytest.mark.parametrize(
    "down",
    [pytest.param("'0001'", id="two follow one"), pytest.param("'0007'", id="one follows none")],
)
def test_revisions_that_do_not_follow_one_another_are_refused(tmp_path: Path, down: str) -> None:
    """A fork, as two merged branches leave it, must not be half applied."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").touch()
    for number, before in (("0001", "None"), ("0002", "'0001'"), ("0003", down)):
        text = f"revision: str = '{number}'\ndown_revision: str | None = {before}\n"
        (tmp_path / "versions" / f"{number}.py").write_text(text)

    with pytest.raises(migrations.BrokenLine, match="do not follow one another"):
        migrations.revisions(MigrationSettings(folder=tmp_path))


async def test_the_tables_are_those_of_the_models(engine: AsyncEngine) -> None:
    """Comparing the migrated database with the code's metadata finds no difference."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


async def test_every_migration_goes_down_and_up_again(empty: AsyncEngine) -> None:
    """What a release adds, its rollback removes without a trace."""
    await migrations.upgrade(empty, SETTINGS)
    before = await _tables(empty)

    async with empty.connect() as connection:
        await connection.run_sync(downgrade_to_base)
    assert await _tables(empty) == {"alembic_version"}
    await migrations.upgrade(empty, SETTINGS)

    assert await _tables(empty) == before


def downgrade_to_base(connection: Connection) -> None:
    """Take every migration back, the newest first."""
    config = Config()
    config.set_main_option("script_location", str(SETTINGS.folder))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")


async def _tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        names = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        return set(names.scalars())


def write_migration(folder: Path, revision: str, down_revision: str | None, sql: str) -> None:
    """Write a migration that runs each statement of `sql`."""
    (folder / "versions").mkdir(exist_ok=True)
    statements = "".join(f"    op.execute({statement.strip()!r})\n" for statement in sql.split(";"))
    (folder / "versions" / f"{revision}.py").write_text(
        f"from alembic import op\nrevision = {revision!r}\ndown_revision = {down_revision!r}\n"
        f"def upgrade():\n{statements}"
    )
