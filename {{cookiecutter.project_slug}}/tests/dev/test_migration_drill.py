"""dev/migration_drill: every migration of the service up, down and up again under traffic, on few rows."""

from pathlib import Path
from uuid import uuid4

from app.patterns import migrations
from dev.migration_drill.__main__ import table
from dev.migration_drill.run import Leg, drill
from dev.postgres import PostgreSQL
from tests.support.migrations import SETTINGS, empty_folder, write_migration


async def test_every_migration_goes_both_ways_while_its_neighbours_are_used(postgres: PostgreSQL) -> None:
    """No statement fails where its table is there, and no row of another table is lost."""
    legs = await drilled(postgres, SETTINGS.model_copy(update={"attempts": 200}))

    known = migrations.revisions(SETTINGS)
    assert [(leg.revision, leg.way) for leg in legs] == [
        (revision, way) for revision in reversed(known) for way in ("up", "down", "up again")
    ]
    assert [problem for leg in legs for problem in (*leg.noticed.errors, *leg.lost)] == []
    assert sum(leg.noticed.statements for leg in legs) > 0
    assert "waited at most" in table(legs, SETTINGS.lock_timeout_seconds)


async def test_a_migration_that_takes_rows_of_another_table_is_caught(postgres: PostgreSQL, tmp_path: Path) -> None:
    """The drill can fail: what was seeded in the first table is gone after the second migration."""
    settings = empty_folder(tmp_path).model_copy(update={"attempts": 200})
    write_migration(tmp_path, "1", None, "CREATE TABLE t (id bigint NOT NULL)", undo="DROP TABLE t")
    write_migration(tmp_path, "2", "1", "DELETE FROM t")

    legs = await drilled(postgres, settings)

    assert [leg.passed for leg in legs if (leg.revision, leg.way) == ("2", "up")] == [False]


async def drilled(postgres: PostgreSQL, settings: migrations.MigrationSettings) -> list[Leg]:
    """Drill in a database of one's own."""
    name = f"drill_{uuid4().hex}"
    postgres.create_database(name)
    try:
        return await drill(postgres.url(name), settings, rows=200)
    finally:
        postgres.drop_database(name)
