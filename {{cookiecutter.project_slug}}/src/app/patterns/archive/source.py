"""What is archived: rows of one table, with its columns and key as the catalogue tells them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .errors import NotArchivable
from .rows import Column, digest_expression, escaped, quoted

_CATALOGUE = text("""
    SELECT format('%I.%I', n.nspname, c.relname) AS relation, CAST(a.attname AS text) AS name,
           format_type(a.atttypid, a.atttypmod) AS type, a.attgenerated <> '' AS generated,
           array_position(CAST(i.indkey AS int2[]), a.attnum) AS place_in_key
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.oid = to_regclass(:relation) AND c.relkind IN ('r', 'p', 'v', 'm')
    ORDER BY a.attnum
""")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of a table, a partition or a view, in the order of a key."""

    relation: str
    """With its schema, quoted where it must be."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    where: str = "true"
    """A condition in SQL, of the code's own words; values belong into `parameters`, as `:name`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    generated: frozenset[str] = frozenset()
    """Columns that the table computes itself."""

    @property
    def key_positions(self) -> list[int]:
        """Return where among the columns those of the key are."""
        names = [column.name for column in self.columns]
        return [names.index(name) for name in self.key]

    def rows(self) -> str:
        """Return the query for the rows in order, each with its digest as the last value."""
        values = ", ".join([*(column.selected for column in self.columns), digest_expression(self.columns)])
        order = ", ".join(map(quoted, self.key))
        return f"SELECT {values} FROM {self._from()} ORDER BY {order}"  # noqa: S608 - names of the catalogue

    def digests(self, columns: Sequence[Column]) -> str:
        """Return the query for the rows' digests, with `columns` in the order of an archive."""
        return f"SELECT {digest_expression(columns)} FROM {self._from()}"  # noqa: S608 - same

    def _from(self) -> str:
        return f"{escaped(self.relation)} WHERE {self.where}"


async def describe(
    connection: AsyncConnection,
    relation: str,
    *,
    key: Sequence[str] = (),
    where: str = "true",
    parameters: Mapping[str, Any] | None = None,
) -> Source:
    """Return what the catalogue says of a table; the key is its primary key, unless another is named.

    Raises:
        NotArchivable: there is no such table, or no key.
    """
    async with connection.begin():
        source = await find(connection, relation, key=key)
    if not source.key:
        raise NotArchivable(f"{relation} has no primary key: name the columns that order its rows")
    return Source(source.relation, source.columns, source.key, where, parameters or {}, source.generated)


async def find(connection: AsyncConnection, relation: str, *, key: Sequence[str] = ()) -> Source:
    """Do the same inside a transaction, also for a table without a key."""
    found = (await connection.execute(_CATALOGUE, {"relation": relation})).all()
    if not found:
        raise NotArchivable(f"there is no table {relation}")
    columns = tuple(Column(row.name, row.type) for row in found)
    if unknown := set(key) - {column.name for column in columns}:
        raise NotArchivable(f"{relation} has no column {', '.join(sorted(unknown))}")
    primary = sorted((row.place_in_key, row.name) for row in found if row.place_in_key is not None)
    generated = frozenset(row.name for row in found if row.generated)
    return Source(found[0].relation, columns, tuple(key) or tuple(name for _, name in primary), generated=generated)
