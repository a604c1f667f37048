"""Restoring: the rows of an archive back into a table, all of them and exactly, or none."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.object_storage import Store

from .errors import ColumnsDiffer, RowsDiffer
from .manifest import Manifest
from .reading import read_object, verify
from .rows import Tally, difference, digest_expression, escaped, quoted
from .snapshot import transaction
from .source import Source, find

_ELEMENTS = {
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "bool": "boolean",
    "binary": "bytea",
    "string": "text",
}


async def restore(connection: AsyncConnection, store: Store, name: str, into: str) -> Manifest:
    """Insert the rows of an archive into an existing table, in one transaction, and return the manifest.

    Rows that are there stay; one with the same key makes it fail.

    Raises:
        ArchiveDamaged: an object is not what was written; nothing has been inserted.
        ColumnsDiffer: the table has not the columns of the archive.
        RowsDiffer: the table made something else of the rows, by a trigger for instance; nothing has been inserted.
    """
    manifest = await verify(store, name)
    tally = Tally()
    async with transaction(connection):
        target = await find(connection, into)
        if differs := difference(manifest.columns, target.columns):
            raise ColumnsDiffer(f"{target.relation} {differs}")
        # What the table computes itself is compared afterwards, like all the rest.
        inserted = [at for at, column in enumerate(manifest.columns) if column.name not in target.generated]
        insert = text(_insert(manifest, target, inserted))
        for written in manifest.objects:
            async for rows in read_object(store, name, manifest, written):
                arrays = {f"c{at}": [row[at] for row in rows] for at in inserted}
                for digest in await connection.scalars(insert, arrays):
                    tally.add_digest(digest)
        if (tally.rows, tally.checksum) != (manifest.rows, manifest.checksum):
            raise RowsDiffer(f"{target.relation} has changed rows as they were inserted; all are taken back")
    return manifest


def _insert(manifest: Manifest, target: Source, inserted: Sequence[int]) -> str:
    """Return the statement that inserts rows, given as an array for each column, and returns their digests."""
    types = {column.name: escaped(column.type) for column in target.columns}
    columns = {f"c{at}": manifest.columns[at] for at in inserted}
    names = ", ".join(quoted(column.name) for column in columns.values())
    values = ", ".join(f"CAST(archived.{short} AS {types[column.name]})" for short, column in columns.items())
    arrays = ", ".join(f"CAST(:{short} AS {_ELEMENTS[column.stored]}[])" for short, column in columns.items())
    return (
        f"INSERT INTO {escaped(target.relation)} ({names}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - of the catalogue
        f"SELECT {values} FROM unnest({arrays}) AS archived ({', '.join(columns)}) "
        f"RETURNING {digest_expression(manifest.columns)}"
    )
