"""Removing: from the database those rows that an archive holds, and which are still as they were archived."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.object_storage import Store

from .errors import ColumnsDiffer
from .manifest import Manifest
from .reading import read_object, verify
from .rows import Row, difference, digest, digest_expression, escaped, quoted, text_of
from .snapshot import transaction
from .source import Source, find


async def remove(
    connection: AsyncConnection,
    store: Store,
    name: str,
    relation: str,
    *,
    where: str = "true",
    first: Callable[[AsyncConnection], Awaitable[None]] | None = None,
) -> int:
    """Delete the rows of an archive from a table, and return how many were.

    At most 1 000 of them in one transaction, whose beginning is given to `first`. A row that has been changed since
    stays, and so does one for which `where` does not hold by now.

    Raises:
        ArchiveDamaged: an object is not what was written; nothing has been deleted.
        ColumnsDiffer: the table has not the columns of the archive.
        sqlalchemy.exc.DBAPIError: a policy would hide rows from the connection's role, among others.
    """
    manifest = await verify(store, name)
    deleted = 0
    for written in manifest.objects:
        async for rows in read_object(store, name, manifest, written):
            async with transaction(connection):
                await connection.execute(text("SET LOCAL row_security = off"))
                if first:
                    await first(connection)
                target = await find(connection, relation)
                if differs := difference(manifest.columns, target.columns):
                    raise ColumnsDiffer(f"{target.relation} {differs}")
                result = await connection.execute(text(_delete(manifest, target, where)), _arrays(manifest, rows))
                deleted += result.rowcount
    return deleted


def _arrays(manifest: Manifest, rows: Sequence[Row]) -> dict[str, object]:
    keys = {f"k{at}": [text_of(row[at]) for row in rows] for at in manifest.key_positions}
    return {**keys, "digests": [digest(row) for row in rows]}


def _delete(manifest: Manifest, target: Source, where: str) -> str:
    """Return the statement that deletes rows, given as an array for each column of the key and one of digests."""
    types = {column.name: escaped(column.type) for column in target.columns}
    arrays = [f"CAST(CAST(:k{at} AS text[]) AS {types[manifest.columns[at].name]}[])" for at in manifest.key_positions]
    found = ", ".join([*map(quoted, manifest.key), digest_expression(manifest.columns)])
    return (
        f"DELETE FROM {escaped(target.relation)} WHERE ({found}) IN "  # noqa: S608 - names of the catalogue
        f"(SELECT * FROM unnest({', '.join(arrays)}, CAST(:digests AS bytea[]))) AND ({where})"
    )
