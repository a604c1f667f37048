"""Reading archives: what is there, whether it is as it was written, and whether the database still holds the same."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.object_storage import Store

from . import manifest as manifests
from .errors import ArchiveDamaged, ColumnsDiffer, RowsDiffer
from .manifest import ArchivedObject, Manifest
from .rows import Row, Tally, difference, escaped
from .snapshot import snapshot
from .source import Source, find
from .writer import BATCH_ROWS


async def read_manifest(store: Store, name: str) -> Manifest | None:
    """Return what an archive holds; None if there is none of that name.

    Raises:
        ArchiveDamaged: the manifest is not as it was written.
    """
    place = manifests.place(name)
    body = await store.get(place)
    return None if body is None else manifests.parse(body, place)


async def archives(store: Store, prefix: str = "") -> dict[str, Manifest | ArchiveDamaged]:
    """Return the archives whose names begin with `prefix`, or in place of a manifest what is wrong with it."""
    found: dict[str, Manifest | ArchiveDamaged] = {}
    for place in await store.names(prefix):
        if name := manifests.name_at(place):
            try:
                found[name] = manifests.parse(await store.get(place) or b"", place)
            except ArchiveDamaged as exc:
                found[name] = exc
    return found


async def verify(store: Store, name: str) -> Manifest:
    """Read all of an archive, and return its manifest when every object is what was written.

    Raises:
        ArchiveDamaged: the first object that is not.
    """
    place = manifests.place(name)
    manifest = await read_manifest(store, name)
    if manifest is None:
        raise ArchiveDamaged(place, "is missing: there is no such archive, or not all of it")
    tally = Tally(manifest.key_positions)
    for written in manifest.objects:
        before = tally.rows
        async for rows in read_object(store, name, manifest, written):
            await asyncio.to_thread(tally.add, rows)
        if tally.rows - before != written.rows:
            raise ArchiveDamaged(f"{name}/{written.name}", f"holds {tally.rows - before} rows, not {written.rows}")
    if (tally.rows, tally.checksum) != (manifest.rows, manifest.checksum):
        raise ArchiveDamaged(place, "is altered: its objects hold other rows than it says")
    if (tally.lowest, tally.highest) != (manifest.lowest, manifest.highest):
        raise ArchiveDamaged(place, "is altered: its objects begin and end with other keys than it says")
    return manifest


async def compare(connection: AsyncConnection, manifest: Manifest, source: Source) -> None:
    """Return if the database holds the rows of an archive, and no others, in `source`.

    Raises:
        ColumnsDiffer: it has other columns by now.
        RowsDiffer: it has not the same rows.
    """
    tally = Tally()
    async with snapshot(connection, escaped(source.relation)):
        found = await find(connection, source.relation)
        if differs := difference(manifest.columns, found.columns):
            raise ColumnsDiffer(f"{source.relation} {differs}")
        query = text(source.digests(manifest.columns))
        async with connection.stream(query, dict(source.parameters)) as result:
            async for rows in result.scalars().partitions(BATCH_ROWS):
                for digest in rows:
                    tally.add_digest(digest)
    if tally.rows != manifest.rows:
        raise RowsDiffer(f"{source.relation} holds {tally.rows} rows, the archive {manifest.rows}")
    if tally.checksum != manifest.checksum:
        raise RowsDiffer(f"{source.relation} holds as many rows as the archive, {tally.rows}, but not the same")


async def read_object(store: Store, name: str, manifest: Manifest, written: ArchivedObject) -> AsyncIterator[list[Row]]:
    """Yield the rows of one object, which is first seen to be what was written."""
    from . import parquet  # noqa: PLC0415 - an extra

    place = f"{name}/{written.name}"
    body = await store.get(place)
    if body is None:
        raise ArchiveDamaged(place, "is missing")
    if len(body) < written.bytes:
        raise ArchiveDamaged(place, f"is truncated: {len(body)} of {written.bytes} bytes are there")
    if sha256(body).hexdigest() != written.sha256:
        raise ArchiveDamaged(place, "is altered: its SHA-256 is not the manifest's")
    batches = parquet.decode(body, manifest.columns, batch_rows=BATCH_ROWS)
    try:
        while rows := await asyncio.to_thread(next, batches, None):
            yield rows
    except parquet.NotParquet as exc:
        raise ArchiveDamaged(place, str(exc)) from exc
