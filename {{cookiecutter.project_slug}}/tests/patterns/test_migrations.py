"""patterns/migrations: one runner, and a defined state whatever happens. Real PostgreSQL."""

import asyncio
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns import migrations
from app.patterns.migrations import MigrationSettings, SchemaOutOfDate
from tests.support.migrations import SETTINGS, empty_folder, tables, write_migrations

pytestmark = pytest.mark.schema


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


async def test_a_wrong_migration_is_rolled_back_and_those_before_it_stay(empty: AsyncEngine, tmp_path: Path) -> None:
    """A failure in the middle leaves a defined state."""
    settings = empty_folder(tmp_path)
    write_migrations(tmp_path, "CREATE TABLE good ()", "CREATE TABLE half (); SELECT 1 / 0")

    with pytest.raises(DBAPIError, match="division by zero"):
        await migrations.upgrade(empty, settings)

    assert await tables(empty) == {"alembic_version", "good"}
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
    async with engine.connect() as connection:
        assert await connection.run_sync(migrations.differences, SETTINGS) == []
