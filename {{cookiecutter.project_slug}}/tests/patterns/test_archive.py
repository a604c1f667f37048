"""patterns/archive: rows leave as Parquet, and come back as they were."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive
from app.patterns.archive.reading import read_object
from app.patterns.tenancy import JOBS_ROLE, USER_ROLE
from tests.support.archives import (
    COLUMNS,
    EDGES,
    NAME,
    TABLE,
    FailingStore,
    archived,
    described,
    execute,
    given_parcels,
    rows_of,
)
from tests.support.audit import acting_as
from tests.support.s3 import Bucket

EMPTY_COPY = f"CREATE TABLE copy ({COLUMNS})"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


async def test_every_value_comes_back_as_it_was(empty: AsyncEngine, store: FolderStore) -> None:
    """Of each type the edges: infinite, NaN, empty, NULL, nested, quoted, microseconds, more digits than a double."""
    await execute(empty, TABLE, EDGES, EMPTY_COPY)
    before = await rows_of(empty, "parcel")

    written = await archived(empty, store)
    async with empty.connect() as connection:
        assert await archive.restore(connection, store, NAME, "copy") == written

    assert (written.rows, len(before)) == (6, 6)
    assert await rows_of(empty, "copy") == before
    assert written.lowest == ["00000000-0000-0000-0000-000000000001"]
    assert written.highest == ["ffffffff-ffff-ffff-ffff-ffffffffffff"]


async def test_settings_of_the_session_change_nothing(empty: AsyncEngine, store: FolderStore) -> None:
    """Whoever reads and restores with another time zone, style of dates or form of bytes gets the same rows."""
    await execute(empty, TABLE, EDGES, EMPTY_COPY)
    written = await archived(empty, store)

    async with described(empty) as (connection, source):
        for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'SQL, DMY'", "bytea_output = escape"):
            await connection.exec_driver_sql(f"SET {setting}")
        await connection.commit()
        again = await archive.write(connection, store, source, "again")
        await archive.restore(connection, store, NAME, "copy")

    assert again.checksum == written.checksum
    assert await rows_of(empty, "copy") == await rows_of(empty, "parcel")


async def test_a_table_of_ones_own_types_comes_back(empty: AsyncEngine, store: FolderStore) -> None:
    """Enums, domains, ranges, addresses, an identity, a computed column, and names that have to be quoted."""
    columns = """
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a :b ""c\\d" mood, host inet, span tstzrange,
        twice bigint GENERATED ALWAYS AS (id * 2) STORED, many numeric[], at interval,
        exact double precision, code char(4), p posint
    """
    row = """
        INSERT INTO "Odd :t" ("a :b ""c\\d", host, span, many, at, exact, code, p) VALUES
        ('so :so', '10.0.0.1', '[2026-01-01, infinity)', '{1.10,NaN,NULL}', '1 month -2 days 00:00:00.5', 0.1, 'a', 3)
    """
    types = ("CREATE TYPE mood AS ENUM ('so :so')", "CREATE DOMAIN posint AS integer CHECK (VALUE > 0)")
    await execute(empty, *types, f'CREATE TABLE "Odd :t" ({columns})', row, f"CREATE TABLE copy ({columns})")

    async with described(empty, '"Odd :t"') as (connection, source):
        written = await archive.write(connection, store, source, "odd")
        await archive.compare(connection, written, source)
        await archive.restore(connection, store, "odd", "copy")

    assert written.relation == 'public."Odd :t"'
    assert await rows_of(empty, "copy") == await rows_of(empty, '"Odd :t"')


async def test_rows_are_chosen_by_a_condition(empty: AsyncEngine, store: FolderStore) -> None:
    """Only those go into the archive, and into a comparison with it; a key may be named."""
    await given_parcels(empty, 20)
    async with empty.connect() as connection:
        source = await archive.describe(
            connection, "parcel", key=["weight"], where="weight <= :most", parameters={"most": 7}
        )
        written = await archive.write(connection, store, source, NAME)
        await archive.compare(connection, written, source)

    assert (written.rows, written.lowest, written.highest) == (7, ["1"], ["7"])
    assert written.where == "weight <= :most"


async def test_a_partition_leaves_and_comes_back(empty: AsyncEngine, store: FolderStore) -> None:
    """Its rows alone, archived by its name, and restored through the table when it has been dropped and made again."""
    january = "CREATE TABLE old PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    await execute(
        empty,
        "CREATE TABLE visit (id bigint, at date, PRIMARY KEY (at, id)) PARTITION BY RANGE (at)",
        january,
        "CREATE TABLE rest PARTITION OF visit DEFAULT",
        "INSERT INTO visit SELECT n, date '2026-01-30' + n FROM generate_series(0, 5) AS n",
    )
    before = await rows_of(empty, "visit"), await rows_of(empty, "old")

    async with described(empty, "old") as (connection, source):
        written = await archive.write(connection, store, source, NAME)
        await archive.compare(connection, written, source)
    await execute(empty, "DROP TABLE old", january)
    async with empty.connect() as connection:
        await archive.restore(connection, store, NAME, "visit")

    assert (written.key, written.lowest, written.highest) == (("at", "id"), ["2026-01-30", "0"], ["2026-01-31", "1"])
    assert (await rows_of(empty, "visit"), await rows_of(empty, "old")) == before


async def test_objects_have_a_bounded_number_of_rows(empty: AsyncEngine, store: FolderStore) -> None:
    """No object has more rows than it may, and together they have all, in the order of the key."""
    await given_parcels(empty, 2_500)

    written = await archived(empty, store, rows_per_object=1_200)

    assert [it.rows for it in written.objects] == [1_000, 1_000, 500]
    assert await archive.verify(store, NAME) == written
    keys = [row[0] for it in written.objects async for rows in read_object(store, NAME, written, it) for row in rows]
    assert (len(set(keys)), keys) == (2_500, sorted(keys, key=str))


async def test_objects_have_a_bounded_size(empty: AsyncEngine, store: FolderStore) -> None:
    """Few rows that are large make an object, too."""
    await given_parcels(empty, 2_500)

    async with described(empty) as (connection, source):
        written = await archive.write(connection, store, source, NAME, rows_per_object=2_000, bytes_per_object=1)

    assert [it.rows for it in written.objects] == [1_000, 1_000, 500]


async def test_an_empty_table_is_an_archive(empty: AsyncEngine, store: FolderStore) -> None:
    """It has a manifest, no objects, and can be restored."""
    await execute(empty, TABLE, EMPTY_COPY)

    written = await archived(empty, store)
    async with empty.connect() as connection:
        await archive.restore(connection, store, NAME, "copy")

    assert (written.rows, written.objects, written.lowest) == (0, (), None)
    assert await archive.archives(store) == {NAME: written}


@pytest.mark.parametrize("puts", [0, 1, 2, 3], ids=["at once", "after 1", "after 2", "before the manifest"])
async def test_an_attempt_that_is_cut_off_is_no_archive(empty: AsyncEngine, tmp_path: Path, puts: int) -> None:
    """Nothing of it is found, and it is in the way of none that comes later, whether rows have changed or not."""
    await given_parcels(empty, 30)
    with pytest.raises(ConnectionError):
        await archived(empty, FailingStore(tmp_path, puts=puts), rows_per_object=10)
    store = FolderStore(tmp_path)
    assert len(await store.names("")) == puts
    assert await archive.archives(store) == {}

    if puts == 2:
        await execute(empty, "UPDATE parcel SET note = 'changed'")
    written = await archived(empty, store, rows_per_object=10)

    assert await archive.verify(store, NAME) == written
    assert len(await store.names("")) == (6 if puts == 2 else 4)


async def test_a_rest_that_was_altered_is_not_taken_over(empty: AsyncEngine, tmp_path: Path) -> None:
    """An object of an attempt that was cut off counts only when it is what would be written."""
    await given_parcels(empty, 30)
    with pytest.raises(ConnectionError):
        await archived(empty, FailingStore(tmp_path, puts=1), rows_per_object=10)
    (place,) = await FolderStore(tmp_path).names("")
    (tmp_path / place).chmod(0o600)
    (tmp_path / place).write_bytes(b"PAR1")

    with pytest.raises(archive.ArchiveDamaged, match=f"{place} is there already, and is something else"):
        await archived(empty, FolderStore(tmp_path), rows_per_object=10)


async def test_an_archive_is_written_once(empty: AsyncEngine, store: FolderStore) -> None:
    """A second one of that name is refused, and the first one stays."""
    await given_parcels(empty, 3)
    written = await archived(empty, store)

    with pytest.raises(archive.ArchiveExists, match="there is an archive parcel/2026-01 already"):
        await archived(empty, store)

    assert await archive.read_manifest(store, NAME) == written


async def test_an_answer_that_was_lost_changes_nothing(empty: AsyncEngine, tmp_path: Path) -> None:
    """A storage that is asked again, and finds what it has just written, has written it."""

    class Forgetful(FolderStore):
        async def put(self, name: str, body: bytes) -> bool:
            return await super().put(name, body) and await super().put(name, body)

    await given_parcels(empty, 30)

    written = await archived(empty, Forgetful(tmp_path), rows_per_object=10)

    assert await archive.verify(FolderStore(tmp_path), NAME) == written


async def test_of_two_at_once_one_writes_an_archive(empty: AsyncEngine, store: FolderStore) -> None:
    """The other one is told, and what is there is whole."""
    await given_parcels(empty, 30)

    done = await asyncio.gather(*(archived(empty, store, rows_per_object=10) for _ in "12"), return_exceptions=True)

    (written,) = [it for it in done if isinstance(it, archive.Manifest)]
    assert [type(it) for it in done if it is not written] == [archive.ArchiveExists]
    assert await archive.verify(store, NAME) == written


async def test_all_rows_are_of_one_moment(empty: AsyncEngine, tmp_path: Path) -> None:
    """What is committed while objects are written is not in the archive."""
    await given_parcels(empty, 200)

    class Busy(FolderStore):
        async def put(self, name: str, body: bytes) -> bool:
            await execute(
                empty, "UPDATE parcel SET note = 'late'", "INSERT INTO parcel (id) VALUES (gen_random_uuid())"
            )
            return await super().put(name, body)

    before = await rows_of(empty, "parcel")
    await archived(empty, Busy(tmp_path), rows_per_object=40)

    await execute(empty, EMPTY_COPY)
    async with empty.connect() as connection:
        await archive.restore(connection, FolderStore(tmp_path), NAME, "copy")
    assert await rows_of(empty, "copy") == before


@pytest.mark.parametrize("role", [USER_ROLE, JOBS_ROLE])
async def test_rows_that_a_policy_hides_are_not_left_out(
    engine: AsyncEngine, database_url: str, store: FolderStore, role: str
) -> None:
    """A role under a policy gets an error, and no archive with fewer rows; also where the policy shows all."""
    async with acting_as(role, database_url) as limited, described(limited, "orders") as (connection, source):
        with pytest.raises(DBAPIError, match="affected by row-level security policy"):
            await archive.write(connection, store, source, "orders")

    async with described(engine, "orders") as (connection, source):
        assert (await archive.write(connection, store, source, "orders")).rows == 0


async def test_a_connection_that_commits_by_itself_is_refused(empty: AsyncEngine, store: FolderStore) -> None:
    """Without a transaction there is no one moment, and no way back."""
    await given_parcels(empty, 3)
    await archived(empty, store)

    async with empty.connect() as connection:
        source = await archive.describe(connection, "parcel")
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises((RuntimeError, DBAPIError), match=r"needs a transaction|transaction block"):
            await archive.write(connection, store, source, "other")
    async with empty.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(RuntimeError, match="needs a transaction"):
            await archive.restore(connection, store, NAME, "parcel")


async def test_an_archive_in_s3_is_locked(empty: AsyncEngine, bucket: Bucket) -> None:
    """Every object and the manifest, for the retention; and it is verified and restored from there."""
    await given_parcels(empty, 30)
    await execute(empty, EMPTY_COPY)

    with bucket.store() as store:
        async with described(empty) as (connection, source):
            written = await archive.write(connection, store, source, NAME, rows_per_object=10)
            await archive.restore(connection, store, NAME, "copy")
        names = await store.names("")
        assert await archive.archives(store, "parcel/") == {NAME: written}

    heads = [bucket.client.head_object(Bucket=bucket.name, Key=f"logs/{name}") for name in names]
    assert [head["ObjectLockMode"] for head in heads] == ["COMPLIANCE"] * 4
    assert await rows_of(empty, "copy") == await rows_of(empty, "parcel")
