"""patterns/archive: rows in Parquet, what cannot be archived, and a process without pyarrow."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive
from app.patterns.archive import parquet, snapshot
from app.patterns.archive.rows import Column, Row, Tally, digest
from dev.environment import ROOT
from tests.support.archives import EDGES, NAME, TABLE, archived, described, execute, given_parcels

TYPES = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "bytea": st.binary(max_size=40),
    "text": st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40),
}
KINDS = [Column(name, name) for name in TYPES]
ROWS = st.lists(st.tuples(*(st.none() | values for values in TYPES.values())), min_size=1, max_size=20)
PAGE = (ROOT / "docs" / "archives.md").read_text()


def block(language: str) -> str:
    """Return the code on the page that is marked so."""
    return PAGE.split(f"```{language}\n")[1].split("```")[0]


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_parquet_gives_back_what_it_was_given(rows: list[Row]) -> None:
    """Any value of the types that it holds as they are, with NULLs anywhere."""
    draft = parquet.Draft(KINDS)
    draft.add(rows)
    read = [row for batch in parquet.decode(draft.finish(), KINDS, batch_rows=7) for row in batch]

    assert read == rows
    assert list(map(digest, read)) == list(map(digest, rows))


def test_a_checksum_does_not_depend_on_the_order() -> None:
    """But on every row, how often it is there, and in which column a value is."""
    one, other = (1, "a"), (2, None)
    tallies: list[list[Row]] = [[one, other], [other, one], [one], [one, one, other], [(1, None), (2, "a")]]

    def checksum(rows: list[Row]) -> str:
        tally = Tally()
        tally.add(rows)
        return tally.checksum

    first, second, *others = map(checksum, tallies)
    assert first == second
    assert len({first, *others}) == 4
    assert digest(("ab", "c")) != digest(("a", "bc"))
    assert digest((None,)) != digest(("-",))


async def test_postgresql_computes_the_checksum_too(empty: AsyncEngine, tmp_path: Path) -> None:
    """In the one statement of docs/archives.md."""
    await execute(empty, TABLE, EDGES, "CREATE TABLE small AS SELECT id, note FROM parcel")
    async with described(empty, "small", key=["id"]) as (connection, source):
        written = await archive.write(connection, FolderStore(tmp_path), source, NAME)
        found: list[int] = [*(await connection.exec_driver_sql(block("sql"))).one()]

    assert (found[0], f"{int(found[1]):064x}") == (written.rows, written.checksum)


async def test_an_archive_can_be_checked_by_hand(empty: AsyncEngine, tmp_path: Path) -> None:
    """With the lines of docs/archives.md and none of this code; they find what was changed."""
    await given_parcels(empty, 30)
    written = await archived(empty, FolderStore(tmp_path), rows_per_object=10)
    command = [sys.executable, "-c", block("python by hand"), str(tmp_path / NAME)]

    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("30 rows of public.parcel\n", "")

    file = tmp_path / NAME / written.objects[1].name
    file.chmod(0o600)
    file.write_bytes(b"PAR1")
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert f"AssertionError: {file.name}" in done.stderr


@pytest.mark.parametrize(
    ("relation", "key", "what"),
    [
        ("nowhere", [], "there is no table nowhere"),
        ("parcel", ["nothing"], "parcel has no column nothing"),
        ("keyless", [], "keyless has no primary key"),
        ("parcel_pkey", [], "there is no table parcel_pkey"),
    ],
)
async def test_what_cannot_be_archived_is_refused(empty: AsyncEngine, relation: str, key: list[str], what: str) -> None:
    """With what is wrong, before anything is read."""
    await execute(empty, TABLE, "CREATE TABLE keyless (x text)")

    async with empty.connect() as connection:
        with pytest.raises(archive.NotArchivable, match=what):
            await archive.describe(connection, relation, key=key)


@pytest.mark.parametrize("name", ["", "/", "..", "a/../b", "a//b", "/a", "a/", "a b", ".a", "a\n"])
async def test_a_name_stays_in_its_place(tmp_path: Path, name: str) -> None:
    """Whatever leads elsewhere, or looks different in a storage, is refused."""
    with pytest.raises(ValueError, match="an archive's name is"):
        await archive.verify(FolderStore(tmp_path), name)


async def test_a_table_that_was_changed_meanwhile_is_refused(empty: AsyncEngine, tmp_path: Path) -> None:
    """A column that came after the table was described would not be archived."""
    await given_parcels(empty, 3)
    async with described(empty) as (connection, source):
        await execute(empty, "ALTER TABLE parcel ADD more text")
        with pytest.raises(archive.ColumnsDiffer, match="has more, which the archive has not"):
            await archive.write(connection, FolderStore(tmp_path), source, NAME)


async def test_a_row_with_another_text_than_in_postgresql_is_not_archived(
    empty: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row's digest is computed on both sides, so that a type that this code writes otherwise is found."""
    await execute(empty, TABLE, EDGES)
    monkeypatch.setitem(snapshot._SETTINGS, "bytea_output", "escape")

    with pytest.raises(archive.RowsDiffer, match="row 1 has another text here than in PostgreSQL"):
        await archived(empty, FolderStore(tmp_path))

    assert await archive.archives(FolderStore(tmp_path)) == {}


async def test_without_pyarrow_the_extra_is_named(
    empty: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs it is told what to install; everybody else never imports it."""
    await given_parcels(empty, 3)
    await archived(empty, FolderStore(tmp_path))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, parquet.__name__)
    monkeypatch.delattr(archive, "parquet")

    with pytest.raises(archive.ExtraMissing, match="its extra `archive`"):
        await archived(empty, FolderStore(tmp_path), "other")
    with pytest.raises(archive.ExtraMissing, match="its extra `archive`"):
        await archive.verify(FolderStore(tmp_path), NAME)
    assert list(await archive.archives(FolderStore(tmp_path))) == [NAME]
