"""patterns/archive: rows are deleted from the database if the archive has them as they are, and not otherwise."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive
from tests.support.archives import EDGES, NAME, TABLE, archived, execute, given_parcels, rows_of
from tests.support.audit import acting_as


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


async def test_rows_with_every_value_are_found_again(empty: AsyncEngine, store: FolderStore) -> None:
    """Of each type the edges, as they come back too; their order in the archive's objects does not matter."""
    await execute(empty, TABLE, EDGES)
    await archived(empty, store, rows_per_object=4)

    assert await _remove(empty, store) == 6
    assert await rows_of(empty, "parcel") == []


async def test_a_key_of_several_columns_is_matched_as_one(empty: AsyncEngine, store: FolderStore) -> None:
    """A column called like anything in the statement is only a column."""
    await execute(
        empty,
        'CREATE TABLE parcel (k0 text, digest bytea, id int, "Odd :n" text, PRIMARY KEY (id, k0))',
        "INSERT INTO parcel VALUES ('a', 'x', 1, 'b'), ('b', 'x', 1, 'a'), ('a', 'x', 2, NULL)",
    )
    await archived(empty, store)
    await execute(empty, """UPDATE parcel SET "Odd :n" = 'c' WHERE id = 1 AND k0 = 'b'""")

    assert await _remove(empty, store) == 2
    assert await rows_of(empty, "parcel") == ['(b,"\\\\x78",1,c)']


async def test_what_changed_or_came_later_stays(empty: AsyncEngine, store: FolderStore) -> None:
    """Only rows go that can be read from the archive as they were; a second call finds nothing more."""
    await given_parcels(empty, 2_500)
    await archived(empty, store)
    await execute(
        empty,
        "UPDATE parcel SET note = note || '!' WHERE weight IN (7, 2300)",
        "INSERT INTO parcel (id, weight) VALUES (gen_random_uuid(), 0)",
    )

    assert [await _remove(empty, store), await _remove(empty, store)] == [2_498, 0]
    async with empty.connect() as connection:
        left = await connection.scalars(text("SELECT weight FROM parcel ORDER BY weight"))
        assert left.all() == [0, 7, 2300]


async def test_few_at_a_time_and_a_condition_asked_each_time(empty: AsyncEngine, store: FolderStore) -> None:
    """What others commit between two transactions is seen by the next one."""
    await given_parcels(empty, 2_500)
    await execute(empty, "CREATE TABLE held (weight bigint)")
    await archived(empty, store)
    transactions = []

    async def hold(connection: AsyncConnection) -> None:
        transactions.append(await connection.scalar(text("SELECT count(*) FROM parcel")))
        if len(transactions) == 2:
            await execute(empty, "INSERT INTO held SELECT weight FROM parcel")

    where = "weight NOT IN (SELECT weight FROM held)"
    assert await _remove(empty, store, where=where, first=hold) == 1_000
    assert transactions == [2_500, 1_500, 1_500]


async def test_of_a_damaged_archive_nothing_goes(empty: AsyncEngine, store: FolderStore, tmp_path: Path) -> None:
    """Although its first object is whole."""
    await given_parcels(empty, 20)
    written = await archived(empty, store, rows_per_object=10)
    (tmp_path / NAME / written.objects[1].name).unlink()

    with pytest.raises(archive.ArchiveDamaged, match="is missing"):
        await _remove(empty, store)
    assert len(await rows_of(empty, "parcel")) == 20


async def test_another_table_is_refused(empty: AsyncEngine, store: FolderStore) -> None:
    """One that has not the archive's columns."""
    await given_parcels(empty, 1)
    await archived(empty, store)
    await execute(empty, "ALTER TABLE parcel ADD COLUMN more text")

    with pytest.raises(archive.ColumnsDiffer, match="has more"):
        await _remove(empty, store)


async def test_a_policy_that_would_hide_rows_is_an_error(engine: AsyncEngine, store: FolderStore) -> None:
    """Rows that cannot be seen would not be deleted, and nobody would know."""
    await execute(
        engine,
        "CREATE TABLE parcel (id int PRIMARY KEY)",
        "INSERT INTO parcel VALUES (1)",
        "ALTER TABLE parcel ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY parcel_of_all ON parcel TO app_jobs USING (true)",
        "GRANT SELECT, DELETE ON parcel TO app_jobs",
    )
    await archived(engine, store)

    async with acting_as("app_jobs", engine.url.render_as_string(hide_password=False)) as jobs:
        with pytest.raises(DBAPIError, match="row-level security"):
            await _remove(jobs, store)


async def _remove(engine: AsyncEngine, store: FolderStore, **more: object) -> int:
    async with engine.connect() as connection:
        return await archive.remove(connection, store, NAME, "parcel", **more)  # type: ignore[arg-type]
