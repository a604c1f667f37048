"""patterns/archive: what is not as it was written is named, and nothing of it is restored."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive
from app.patterns.archive import manifest as manifests
from app.patterns.archive.rows import Column
from tests.support.archives import COLUMNS, NAME, archived, described, execute, given_parcels, rows_of

MANIFEST = f"{NAME}/manifest.json"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.fixture
async def written(empty: AsyncEngine, store: FolderStore) -> archive.Manifest:
    """Return an archive of three objects, and have an empty table of the same columns."""
    await given_parcels(empty, 30)
    await execute(empty, f"CREATE TABLE copy ({COLUMNS})")
    return await archived(empty, store, rows_per_object=10)


def replace(path: Path, body: bytes) -> None:
    """Do what only the owner of the folder can."""
    path.unlink()
    path.write_bytes(body)


def flip(path: Path) -> None:
    body = path.read_bytes()
    replace(path, body[:400] + bytes([body[400] ^ 1]) + body[401:])


def cut(path: Path) -> None:
    replace(path, path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    replace(path, path.read_bytes() + b"\n")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "is missing": Path.unlink,
    "is altered: its SHA-256": flip,
    "is truncated": cut,
    "is altered": lengthen,
}


@pytest.mark.parametrize("number", [0, 1, 2], ids=["first", "second", "last"])
@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_object_is_named(
    empty: AsyncEngine, tmp_path: Path, written: archive.Manifest, number: int, what: str
) -> None:
    """Whichever it is, and whatever was done to it; and nothing is restored, not even of those before it."""
    place = f"{NAME}/{written.objects[number].name}"
    store = FolderStore(tmp_path)
    DAMAGES[what](tmp_path / place)

    with pytest.raises(archive.ArchiveDamaged, match=what) as raised:
        await archive.verify(store, NAME)
    async with empty.connect() as connection:
        with pytest.raises(archive.ArchiveDamaged, match=what):
            await archive.restore(connection, store, NAME, "copy")

    assert raised.value.place == place
    assert await rows_of(empty, "copy") == []


async def test_objects_that_changed_places_are_named(
    store: FolderStore, tmp_path: Path, written: archive.Manifest
) -> None:
    """Each is whole, and not where it belongs."""
    first, second = (tmp_path / NAME / it.name for it in written.objects[:2])
    bodies = first.read_bytes(), second.read_bytes()
    replace(first, bodies[1])
    replace(second, bodies[0])

    with pytest.raises(archive.ArchiveDamaged, match=first.name):
        await archive.verify(store, NAME)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda body: body.replace(b'"rows": 30', b'"rows": 31'), id="another number"),
        pytest.param(lambda body: body[:-20], id="truncated"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"[]", id="something else"),
        pytest.param(lambda body: body + b" ", id="a space more"),
        pytest.param(lambda body: body.replace(b'"format": 1', b'"format": 2'), id="another format"),
    ],
)
async def test_an_altered_manifest_is_named(
    store: FolderStore, tmp_path: Path, written: archive.Manifest, damage: Callable[[bytes], bytes]
) -> None:
    """Also in the list of archives, where it hides none of the others."""
    path = tmp_path / MANIFEST
    body = path.read_bytes()
    other = tmp_path / "other" / "manifest.json"
    other.parent.mkdir()
    other.write_bytes(body)
    replace(path, damage(body))

    with pytest.raises(archive.ArchiveDamaged, match=f"{MANIFEST} is altered"):
        await archive.verify(store, NAME)

    found = await archive.archives(store)
    assert isinstance(found[NAME], archive.ArchiveDamaged)
    assert found["other"] == written


FORGERIES: dict[str, tuple[dict[str, object], str]] = {
    "fewer objects": ({"objects": []}, "hold other rows than it says"),
    "another checksum": ({"checksum": "0" * 64}, "hold other rows than it says"),
    "another key": ({"lowest": ["0"]}, "begin and end with other keys"),
    "a key of no column": ({"key": ("nothing",)}, "cannot be read"),
    "other columns": ({"columns": (Column("id", "uuid"),)}, "holds other columns"),
}


@pytest.mark.parametrize(("changes", "what"), FORGERIES.values(), ids=FORGERIES)
async def test_a_manifest_with_a_checksum_of_its_own_must_fit_its_objects(
    tmp_path: Path, written: archive.Manifest, changes: dict[str, object], what: str
) -> None:
    """Whoever computes its SHA-256 again cannot make it say other rows."""
    fields = {field: getattr(written, field) for field in written.__slots__}
    replace(tmp_path / MANIFEST, manifests.render(archive.Manifest(**{**fields, **changes})))

    with pytest.raises(archive.ArchiveDamaged, match=what):
        await archive.verify(FolderStore(tmp_path), NAME)


async def test_a_manifest_leads_nowhere_else(tmp_path: Path, written: archive.Manifest) -> None:
    """Its objects lie beside it, whatever names it gives them."""
    path = tmp_path / MANIFEST
    said = orjson.loads(path.read_bytes())["manifest"]
    said["objects"][0]["name"] = "../../secret"
    replace(path, orjson.dumps({"manifest": said, "sha256": manifests._checksum(said)}))

    with pytest.raises(archive.ArchiveDamaged, match="cannot be read"):
        await archive.verify(FolderStore(tmp_path), NAME)
    assert written.rows == 30


async def test_without_a_manifest_there_is_no_archive(
    store: FolderStore, tmp_path: Path, written: archive.Manifest
) -> None:
    """Although all its objects are there."""
    (tmp_path / MANIFEST).unlink()

    with pytest.raises(archive.ArchiveDamaged, match=f"{MANIFEST} is missing"):
        await archive.verify(store, NAME)
    assert await archive.read_manifest(store, NAME) is None
    assert len(await store.names("")) == len(written.objects)


CHANGES = {
    "DELETE FROM parcel WHERE weight = 3": "holds 29 rows, the archive 30",
    "INSERT INTO parcel (id) VALUES (gen_random_uuid())": "holds 31 rows, the archive 30",
    "UPDATE parcel SET note = NULL WHERE weight = 3": "holds as many rows as the archive, 30, but not the same",
    "UPDATE parcel SET sent_at = sent_at + interval '1 microsecond' WHERE weight = 3": "but not the same",
    "UPDATE parcel SET tags = '{}' WHERE weight = 3": "but not the same",
    "UPDATE parcel SET note = CAST(weight AS text), weight = NULL": "but not the same",
}


@pytest.mark.parametrize(("statement", "what"), CHANGES.items(), ids=range(len(CHANGES)))
async def test_the_database_is_compared_with_the_archive(
    empty: AsyncEngine, written: archive.Manifest, statement: str, what: str
) -> None:
    """Equal at first; after any change of its rows it is not."""
    async with described(empty) as (connection, source):
        await archive.compare(connection, written, source)
    await execute(empty, statement)

    async with described(empty) as (connection, source):
        with pytest.raises(archive.RowsDiffer, match=what):
            await archive.compare(connection, written, source)


OTHER_TABLES = {
    "ALTER TABLE copy DROP price": "lacks price",
    "ALTER TABLE copy ADD more text": "has more, which the archive has not",
    "ALTER TABLE copy ALTER weight TYPE numeric": "has weight as numeric, the archive as bigint",
    "ALTER TABLE copy RENAME note TO remark": "lacks note, has remark, which the archive has not",
}


@pytest.mark.parametrize(("statement", "what"), OTHER_TABLES.items(), ids=OTHER_TABLES.values())
async def test_a_table_with_other_columns_is_refused(
    empty: AsyncEngine, store: FolderStore, written: archive.Manifest, statement: str, what: str
) -> None:
    """By restoring and by comparing, which both say what differs."""
    await execute(empty, statement)

    async with described(empty, "copy", key=["id"]) as (connection, source):
        with pytest.raises(archive.ColumnsDiffer, match=f"public.copy {what}"):
            await archive.restore(connection, store, NAME, "copy")
        with pytest.raises(archive.ColumnsDiffer, match=f"public.copy {what}"):
            await archive.compare(connection, written, source)

    assert await rows_of(empty, "copy") == []


@pytest.mark.usefixtures("written")
async def test_a_restore_is_all_or_nothing(empty: AsyncEngine, store: FolderStore) -> None:
    """A row in the last object that is there already takes back those of the first."""
    await execute(empty, "INSERT INTO copy (id) SELECT max(CAST(id AS text))::uuid FROM parcel")

    async with empty.connect() as connection:
        with pytest.raises(DBAPIError, match="duplicate key"):
            await archive.restore(connection, store, NAME, "copy")

    assert len(await rows_of(empty, "copy")) == 1


@pytest.mark.usefixtures("written")
async def test_a_table_that_changes_what_is_inserted_is_refused(empty: AsyncEngine, store: FolderStore) -> None:
    """A trigger that makes something else of a row is found, and all is taken back."""
    await execute(
        empty,
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.note = upper(NEW.note); RETURN NEW; END'",
        "CREATE TRIGGER tidy BEFORE INSERT ON copy FOR EACH ROW WHEN (NEW.weight = 7) EXECUTE FUNCTION tidy()",
    )

    async with empty.connect() as connection:
        with pytest.raises(archive.RowsDiffer, match=r"public\.copy has changed rows"):
            await archive.restore(connection, store, NAME, "copy")

    assert await rows_of(empty, "copy") == []
