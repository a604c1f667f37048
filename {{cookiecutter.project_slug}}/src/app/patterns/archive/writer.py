"""Writing an archive: rows through a cursor, objects of bounded size, and the manifest when all of them are there."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row as DatabaseRow
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.object_storage import Store

from . import manifest as manifests
from .errors import ArchiveDamaged, ArchiveExists, ColumnsDiffer, RowsDiffer
from .manifest import ArchivedObject, Manifest
from .rows import Row, Tally, difference, digest, escaped
from .snapshot import snapshot
from .source import Source, find

if TYPE_CHECKING:
    from .parquet import Draft

BATCH_ROWS = 1_000  # what is in memory as Python's objects
ROWS_PER_OBJECT = 100_000
BYTES_PER_OBJECT = 128 * 1024 * 1024  # before compression


async def write(
    connection: AsyncConnection,
    store: Store,
    source: Source,
    name: str,
    *,
    rows_per_object: int = ROWS_PER_OBJECT,
    bytes_per_object: int = BYTES_PER_OBJECT,
) -> Manifest:
    """Archive the rows of `source` as `name`, all as they were at one moment, and return the manifest.

    What an attempt left that was cut off is in nobody's way: another one finds the same objects, or writes others.

    Raises:
        ArchiveExists: there is one of that name.
        StorageUnavailable: there is no archive yet; try again.
        ColumnsDiffer: the table has been changed since it was described.
        sqlalchemy.exc.DBAPIError: a policy would hide rows from the connection's role, among others.
    """
    from . import parquet  # noqa: PLC0415 - an extra

    place = manifests.place(name)
    if await store.get(place) is not None:
        raise ArchiveExists(f"there is an archive {name} already")
    tally = Tally(source.key_positions)
    objects: list[ArchivedObject] = []
    async with snapshot(connection, escaped(source.relation)):
        await _check_columns(connection, source)
        read_at = str(await connection.scalar(text("SELECT CAST(now() AS text)")))
        batch_rows = min(BATCH_ROWS, rows_per_object)
        draft = parquet.Draft(source.columns)
        async with connection.stream(text(source.rows()), dict(source.parameters)) as result:
            async for rows in result.partitions(batch_rows):
                if draft.rows + len(rows) > rows_per_object or draft.size >= bytes_per_object:
                    objects.append(await _put(store, name, len(objects) + 1, draft))
                    draft = parquet.Draft(source.columns)
                await asyncio.to_thread(_take, rows, tally, draft)
        if draft.rows:
            objects.append(await _put(store, name, len(objects) + 1, draft))
    written = Manifest(
        relation=source.relation,
        where=source.where,
        columns=source.columns,
        key=source.key,
        rows=tally.rows,
        checksum=tally.checksum,
        lowest=tally.lowest,
        highest=tally.highest,
        read_at=read_at,
        objects=tuple(objects),
    )
    body = manifests.render(written)
    # Not taken also when an answer was lost and the client asked again: then what is there is this one.
    if not await store.put(place, body) and await store.get(place) != body:
        raise ArchiveExists(f"somebody else has written an archive {name} meanwhile")
    return written


async def _check_columns(connection: AsyncConnection, source: Source) -> None:
    found = await find(connection, source.relation)
    if differs := difference(source.columns, found.columns):
        raise ColumnsDiffer(f"{source.relation} {differs}; it was changed after it was described")


def _take(rows: Sequence[DatabaseRow[Any]], tally: Tally, draft: "Draft") -> None:
    """Add rows to the file, when what goes into it is what PostgreSQL means."""
    taken: list[Row] = []
    for found in rows:
        row: Row = tuple(found[:-1])
        if digest(row) != found[-1]:
            raise RowsDiffer(f"row {tally.rows + len(taken) + 1} has another text here than in PostgreSQL")
        taken.append(row)
    draft.add(taken)
    tally.add(taken)


async def _put(store: Store, name: str, number: int, draft: "Draft") -> ArchivedObject:
    """Write one file; its name tells what is in it, so that equal ones meet and others do not."""
    body = await asyncio.to_thread(draft.finish)
    hexdigest = sha256(body).hexdigest()
    written = ArchivedObject(f"{number:05}-{hexdigest[:16]}.parquet", draft.rows, len(body), hexdigest)
    place = f"{name}/{written.name}"
    if not await store.put(place, body) and await store.get(place) != body:
        raise ArchiveDamaged(place, "is there already, and is something else")
    return written
