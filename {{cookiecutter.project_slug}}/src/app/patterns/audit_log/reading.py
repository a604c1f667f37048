"""Reading the tables: the queries that exporter, verifier and operator share. Nothing here changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import merkle
from .segments import Seal, line_of

BEFORE_ALL = -(2**63)  # nobody hides a seal or an entry behind a negative number

# Each tenant once, without reading all rows: one step in the primary key per tenant.
_TENANTS = """
    WITH RECURSIVE each_tenant AS (
        (SELECT tenant_id FROM {table} ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT tenant_id FROM {table} WHERE tenant_id > t.tenant_id ORDER BY tenant_id LIMIT 1)
        FROM each_tenant t WHERE t.tenant_id IS NOT NULL
    )
    SELECT tenant_id FROM each_tenant WHERE tenant_id IS NOT NULL
"""
_TABLES = ("audit_log", "audit_seal", "audit_export", "audit_dropped")

# Which of them have a segment beyond the last exported one, and the number of that.
_UNEXPORTED = text("""
    SELECT t.tenant_id, e.number FROM unnest(CAST(:tenants AS text[])) AS t(tenant_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(number), 0) AS number FROM audit_export WHERE tenant_id = t.tenant_id
    ) e
    WHERE EXISTS (SELECT FROM audit_seal WHERE tenant_id = t.tenant_id AND number > e.number)
""")

_EXPORTED = text("SELECT coalesce(max(number), 0) FROM audit_export WHERE tenant_id = :tenant")

_SEALS = text("""
    SELECT * FROM audit_seal WHERE tenant_id = :tenant AND number > :after ORDER BY number LIMIT :seals
""")

_ENTRIES = "SELECT * FROM {table} WHERE tenant_id = :tenant AND id > :after_id AND id <= :last_id ORDER BY id"

_SEALED_ID = text("SELECT coalesce(max(last_id), 0) FROM audit_seal")

_NEXT_NUMBER = text("SELECT coalesce(max(number), 0) + 1 FROM audit_seal WHERE tenant_id = :tenant")

_NEWEST = text("""
    SELECT * FROM audit_log
    WHERE tenant_id = :tenant
        AND (CAST(:type AS text) IS NULL OR (resource_type = :type AND resource_id = :id))
    ORDER BY id DESC LIMIT :entries
""")

_SEAL_OF = text("""
    SELECT * FROM audit_seal WHERE tenant_id = :tenant AND last_id >= :id ORDER BY last_id LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as it is hashed."""

    id: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in a segment: `merkle.root_from` makes the seal's root of it."""

    seal: Seal
    index: int
    path: Sequence[bytes]


async def tenants(connection: AsyncConnection) -> Sequence[str]:
    """Return the tenants that have anything in one of the tables."""
    found: set[str] = set()
    for table in _TABLES:
        found |= set(await tenants_in(connection, table))
    return sorted(found)


async def tenants_in(connection: AsyncConnection, table: str) -> Sequence[str]:
    """Return the tenants of one table or partition, in order."""
    return (await connection.scalars(text(_TENANTS.format(table=table)))).all()


async def unexported(connection: AsyncConnection) -> Sequence[tuple[str, int]]:
    """Return the tenants that have something to export, and the number of their last exported segment."""
    found = await connection.execute(_UNEXPORTED, {"tenants": await tenants(connection)})
    return [(row.tenant_id, row.number) for row in found]


async def exported_number(connection: AsyncConnection, tenant: str) -> int:
    """Return the number of the last segment that was exported."""
    return int(await connection.scalar(_EXPORTED, {"tenant": tenant}) or 0)


async def sealed_id(connection: AsyncConnection) -> int:
    """Return the id up to which the entries of all tenants are sealed."""
    return int(await connection.scalar(_SEALED_ID) or 0)


async def next_number(connection: AsyncConnection, tenant: str) -> int:
    """Return the number that the next segment will have."""
    return int(await connection.scalar(_NEXT_NUMBER, {"tenant": tenant}) or 0)


async def seals(connection: AsyncConnection, tenant: str, *, after: int, limit: int) -> Sequence[Seal]:
    """Return the next seals after number `after`."""
    found = await connection.execute(_SEALS, {"tenant": tenant, "after": after, "seals": limit})
    return [Seal.from_row(row) for row in found]


async def entries(
    connection: AsyncConnection, tenant: str, *, after_id: int, last_id: int, table: str = "audit_log"
) -> Sequence[Entry]:
    """Return the entries after `after_id`, up to `last_id`; `table` may be a partition."""
    bounds = {"tenant": tenant, "after_id": after_id, "last_id": last_id}
    found = await connection.execute(text(_ENTRIES.format(table=table)), bounds)
    return [Entry(row.id, line_of(row)) for row in found]


async def newest(
    connection: AsyncConnection, tenant: str, *, resource: tuple[str, str] | None, limit: int
) -> Sequence[Entry]:
    """Return the newest entries of a tenant, or of one resource given by type and id; newest first."""
    type_, id_ = resource or (None, None)
    found = await connection.execute(_NEWEST, {"tenant": tenant, "type": type_, "id": id_, "entries": limit})
    return [Entry(row.id, line_of(row)) for row in found]


async def seal_of(connection: AsyncConnection, tenant: str, id_: int) -> Seal | None:
    """Return the seal whose segment has the place of an entry; None if there is none yet."""
    row = (await connection.execute(_SEAL_OF, {"tenant": tenant, "id": id_})).one_or_none()
    return Seal.from_row(row) if row else None


async def proof_of(connection: AsyncConnection, tenant: str, entry: Entry) -> Proof | None:
    """Return the proof that an entry is sealed; None if it is not, or not as it is now."""
    seal, leaf = await seal_of(connection, tenant, entry.id), merkle.leaf(entry.line)
    if seal is None or leaf not in seal.leaves:
        return None
    index = seal.leaves.index(leaf)
    return Proof(seal, index, merkle.proof(seal.leaves, index))
