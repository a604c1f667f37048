"""Which tables are partitioned by month, and what partitions they have: PostgreSQL's catalogue is asked each time.

A table is one of these if it is partitioned by the range of a single column and has a default partition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Numbers of rows are what autovacuum counts: estimates that cost nothing, also of rows that the reader may not see.
_TABLES = text("""
    SELECT c.relname AS name, d.relname AS default_partition, a.attname AS key,
        format_type(a.atttypid, NULL) AS key_type, pg_stat_get_live_tuples(d.oid) AS default_rows
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_class d ON d.oid = p.partdefid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE p.partstrat = 'r' AND p.partnatts = 1 AND pg_table_is_visible(c.oid)
    ORDER BY 1
""")
_PARTITIONS = text("""
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound, pg_stat_get_live_tuples(c.oid) AS rows,
        pg_total_relation_size(c.oid) AS bytes
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(:table)
    ORDER BY c.relname LIKE '%\\_default', 1
""")


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table partitioned by month."""

    name: str
    default_partition: str
    key: str
    key_type: str
    default_rows: int
    """An estimate: rows that no month was there for."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One of its partitions."""

    name: str
    bound: str
    """As PostgreSQL writes it: `FOR VALUES FROM ... TO ...`, or `DEFAULT`."""
    rows: int
    """An estimate."""
    bytes: int
    """With its indexes."""


async def tables(connection: AsyncConnection) -> Sequence[PartitionedTable]:
    """Return the tables that are partitioned by month, by name."""
    return [PartitionedTable(**row._mapping) for row in await connection.execute(_TABLES)]  # noqa: SLF001 - its public name


async def partitions(connection: AsyncConnection, table: str) -> Sequence[Partition]:
    """Return the partitions of a table by name, the default one last."""
    found = await connection.execute(_PARTITIONS, {"table": table})
    return [Partition(**row._mapping) for row in found]  # noqa: SLF001 - its public name
