"""patterns/migrations: the way down, and what would be lost on it. Real PostgreSQL."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns import migrations
from app.patterns.migrations import BASE, SchemaVersion, WrongTarget
from tests.support.migrations import SETTINGS, catalogue, empty_folder, tables, write_migration

pytestmark = pytest.mark.schema

KNOWN = migrations.revisions(SETTINGS)
SEEN = "CREATE TABLE seen_{0} AS SELECT current_setting('lock_timeout') l, current_setting('statement_timeout') s"


@pytest.mark.parametrize("revision", KNOWN)
async def test_a_migration_goes_down_without_a_trace_and_up_again(empty: AsyncEngine, revision: str) -> None:
    """Tables, rights, policies, functions, comments: down is as before, and up again as the first time."""
    below = (*KNOWN, BASE)[KNOWN.index(revision) + 1]
    if below != BASE:
        await migrations.upgrade(empty, SETTINGS, below)
    before = await catalogue(empty)
    await migrations.upgrade(empty, SETTINGS, revision)
    after = await catalogue(empty)

    await migrations.downgrade(empty, SETTINGS, below)
    assert without_version(await catalogue(empty)) == without_version(before)

    await migrations.upgrade(empty, SETTINGS, revision)
    assert await catalogue(empty) == after


async def test_down_to_the_base_takes_everything_back(empty: AsyncEngine) -> None:
    """What is left is the table in which Alembic would write where the schema stands."""
    await migrations.upgrade(empty, SETTINGS)

    before = await migrations.downgrade(empty, SETTINGS, BASE)

    assert before.current == KNOWN[0]
    assert await tables(empty) == {"alembic_version"}


async def test_one_migration_of_many_is_taken_back(empty: AsyncEngine, tmp_path: Path) -> None:
    """Down stops at the revision that it was given."""
    settings = empty_folder(tmp_path)
    for number in ("1", "2", "3"):
        before = str(int(number) - 1) if number != "1" else None
        write_migration(tmp_path, number, before, f"CREATE TABLE t{number} ()", undo=f"DROP TABLE t{number}")
    await migrations.upgrade(empty, settings)

    await migrations.downgrade(empty, settings, "2")

    assert await tables(empty) == {"alembic_version", "t1", "t2"}


async def test_up_stops_at_the_revision_it_was_given(empty: AsyncEngine) -> None:
    """The rest stays pending."""
    await migrations.upgrade(empty, SETTINGS, KNOWN[-1])

    assert (await migrations.schema_version(empty, KNOWN)).pending(KNOWN[0]) == tuple(reversed(KNOWN[:-1]))


async def test_both_ways_have_the_timeouts_that_the_plan_shows(empty: AsyncEngine, tmp_path: Path) -> None:
    """The runner's session sets them, so no migration can forget to."""
    settings = empty_folder(tmp_path)
    write_migration(tmp_path, "1", None, "CREATE TABLE t ()")
    write_migration(tmp_path, "2", "1", SEEN.format("up"), undo=SEEN.format("down"))

    await migrations.upgrade(empty, settings)
    await migrations.downgrade(empty, settings, "1")

    async with empty.connect() as connection:
        seen = await connection.execute(text("SELECT * FROM seen_up UNION ALL SELECT * FROM seen_down"))
        assert [tuple(row) for row in seen] == [("200ms", "10min"), ("200ms", "10min")]
    assert migrations.timeouts(settings) == "SET lock_timeout = '200ms';\nSET statement_timeout = '600000ms';"


@pytest.mark.parametrize(
    ("stands", "target", "reason"),
    [
        pytest.param(KNOWN[-1], "0815", "there is no revision 0815", id="unknown target"),
        pytest.param(KNOWN[-1], KNOWN[0], "is not above", id="target above"),
        pytest.param(KNOWN[-1], KNOWN[-1], "is not above", id="already there"),
        pytest.param(None, BASE, "is not above", id="empty database"),
        pytest.param("9999", KNOWN[0], "only the release that has it knows the way", id="later release"),
    ],
)
def test_there_is_no_way_down(stands: str | None, target: str, reason: str) -> None:
    """A mistaken revision changes nothing, and the reason is said."""
    with pytest.raises(WrongTarget, match=reason):
        migrations.require_below(SchemaVersion(stands, KNOWN), target)


async def test_an_unknown_revision_is_refused_on_the_way_up(empty: AsyncEngine) -> None:
    """Nothing is migrated towards a typing error."""
    with pytest.raises(WrongTarget, match="there is no revision 0815"):
        await migrations.upgrade(empty, SETTINGS, "0815")

    assert await tables(empty) == set()


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        ("DROP TABLE t;", ["table t"]),
        ("DROP TABLE IF EXISTS public.t;", ["table public.t"]),
        ("ALTER TABLE t DROP COLUMN a, DROP COLUMN IF EXISTS b;", ["column t.a", "column t.b"]),
        ("ALTER TABLE ONLY t ADD COLUMN c int,\n DROP COLUMN a;", ["column t.a"]),
        ("ALTER TABLE t DROP a, DROP IF EXISTS b CASCADE;", ["column t.a", "column t.b"]),
        ("ALTER TABLE t DROP CONSTRAINT k, ALTER COLUMN a DROP DEFAULT, ALTER b DROP NOT NULL;", []),
        ("TRUNCATE t; delete from u WHERE x;", ["rows of t", "rows of u"]),
        ("DELETE FROM alembic_version; DROP INDEX i; ALTER TABLE t ADD COLUMN a int;", []),
    ],
)
def test_losses_are_named(sql: str, lost: list[str]) -> None:
    """Whoever takes a migration back is told which data go with it."""
    assert migrations.losses(sql) == lost


@pytest.mark.parametrize("revision", KNOWN)
def test_the_way_down_loses_the_tables_of_the_way_up(revision: str) -> None:
    """Every table that a migration makes is announced as a loss of its downgrade."""
    (up,) = [step for step in migrations.all_steps(SETTINGS) if step.revision == revision]
    below = (*KNOWN, BASE)[KNOWN.index(revision) + 1]
    (down,) = migrations.steps_down(SETTINGS, SchemaVersion(revision, KNOWN), below)
    made = {line.split()[2] for line in up.sql.splitlines() if re.match(r"\s*CREATE TABLE(?!.* PARTITION OF )", line)}

    assert {f"table {name}" for name in made - {"alembic_version"}} <= set(migrations.losses(down.sql))


def without_version(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return a catalogue without Alembic's own table, which stays."""
    return {(kind, said) for kind, said in found if "alembic_version" not in said}
