"""Dropping a month: whether it may go, and what is written down about it first.

Only the tables' owner can drop one. Policies show it the seals, and no entries: those of the month it can read once
row-level security is not forced on that one partition.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.errors import Conflict

from . import merkle, reading
from .dropped import Record
from .models import audit_dropped
from .segments import GENESIS, Seal
from .writer import work_in_hand

_ACTOR = "audit-log-drop"  # where the work in hand has none
_SEALS_AT_ONCE = 100

_IS_PARTITION = text("""
    SELECT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass('audit_log') AND c.relname = :partition)
""")
_IDS = "SELECT min(id), max(id) FROM {table} WHERE tenant_id = :tenant"
_NEWEST = "SELECT max(id) FROM {table}"
# How many entries the seals before one hold; their leaves are not read for that.
_ENTRIES_BEFORE = text("""
    SELECT coalesce(sum(length(leaves)), 0) / 32 FROM audit_seal WHERE tenant_id = :tenant AND number < :number
""")
_LAST_RECORD = text("SELECT number, hash FROM audit_dropped WHERE tenant_id = :tenant ORDER BY number DESC LIMIT 1")
# By SQL alone, as there may be many tenants.
_ANNOUNCE = text("""
    INSERT INTO audit_log (tenant_id, actor, request_id, trace_id, action, resource_type, resource_id, after)
    SELECT tenant_id, :actor, :request_id, :trace_id, 'audit_log.dropped', 'audit_log', partition, hash
    FROM audit_dropped WHERE partition = :partition AND dropped_at = :at
""")


class NotDroppable(Conflict):
    """A partition of the audit log holds what nobody could prove if it went now."""

    code = "audit_log_not_droppable"


async def before_drop(connection: AsyncConnection, partition: str) -> None:
    """Write down what goes with `partition`: in the transaction of the tables' owner that drops it afterwards.

    Per tenant there is a record in `audit_dropped`, and an entry of the log that stands for it, by the actor of the
    work in hand. Entries are read a segment at a time. Nobody is kept waiting but who would write into the partition.

    Raises:
        NotDroppable: an entry is not sealed and exported, or cannot be seen; nothing was written.
    """
    table = connection.dialect.identifier_preparer.quote(partition)
    async with connection.begin_nested():
        await _hold(connection, partition, table)
        newest = await connection.scalar(text(_NEWEST.format(table=table)))
        at = (await connection.execute(select(func.now()))).scalar_one()
        for tenant in await reading.tenants_in(connection, table):
            record = await _record(connection, tenant, partition=partition, table=table, at=at)
            await connection.execute(insert(audit_dropped).inline(), record.to_row())
        work = work_in_hand()
        said = {**work, "actor": work["actor"] or _ACTOR, "partition": partition, "at": at}
        await connection.execute(_ANNOUNCE, said)
        if newest != await connection.scalar(text(_NEWEST.format(table=table))):
            raise NotDroppable(f"{partition} is where new entries go")


async def _hold(connection: AsyncConnection, partition: str, table: str) -> None:
    """Let nobody write into the partition, nor a record beside ours, and make sure that all entries can be seen."""
    if not await connection.scalar(_IS_PARTITION, {"partition": partition}):
        raise NotDroppable(f"{partition} is no partition of the audit log")
    await connection.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
    await connection.execute(text("LOCK TABLE audit_dropped IN SHARE ROW EXCLUSIVE MODE"))
    if await connection.scalar(text("SELECT row_security_active(CAST(:table AS text))"), {"table": table}):
        raise NotDroppable(f"row-level security hides the entries of {partition}")


async def _record(connection: AsyncConnection, tenant: str, *, partition: str, table: str, at: datetime) -> Record:
    first_id, last_id = (await connection.execute(text(_IDS.format(table=table)), {"tenant": tenant})).one()
    tree, positions = merkle.Growing(), list[range]()
    exported = await reading.exported_number(connection, tenant)
    seal = await reading.seal_of(connection, tenant, first_id)
    number, after_id = (seal.number, first_id - 1) if seal else (0, first_id - 1)
    before = int(await connection.scalar(_ENTRIES_BEFORE, {"tenant": tenant, "number": number}) or 0)
    while after_id < last_id:
        seals = await reading.seals(connection, tenant, after=number - 1, limit=_SEALS_AT_ONCE) if seal else []
        if not seals:
            raise NotDroppable(f"tenant {tenant}: the entries of {partition} are not sealed after id {after_id}")
        for seal in seals:
            found = await reading.entries(connection, tenant, after_id=after_id, last_id=seal.last_id, table=table)
            if found and seal.number > exported:
                raise NotDroppable(f"tenant {tenant}, segment {seal.number} (id {found[0].id}): it is not exported")
            for index in _indices(seal, found):
                tree.append(seal.leaves[index])
                _extend(positions, before + index + 1)
            number, after_id, before = seal.number + 1, seal.last_id, before + len(seal.leaves)
            if after_id >= last_id:
                break
    last = (await connection.execute(_LAST_RECORD, {"tenant": tenant})).one_or_none()
    return Record(
        tenant=tenant,
        number=last.number + 1 if last else 1,
        partition=partition,
        first_id=first_id,
        last_id=last_id,
        entries=tree.size,
        positions=tuple(positions),
        root=tree.root(),
        previous=last.hash if last else GENESIS,
        dropped_at=at,
    ).hashed()


def _indices(seal: Seal, found: Sequence[reading.Entry]) -> Sequence[int]:
    """Return which leaves of a seal the entries are."""
    indices: list[int] = []
    for entry in found:
        try:
            indices.append(seal.leaves.index(merkle.leaf(entry.line), indices[-1] + 1 if indices else 0))
        except ValueError:
            raise NotDroppable(
                f"tenant {seal.tenant}, segment {seal.number} (id {entry.id}): it is not what was sealed"
            ) from None
    return indices


def _extend(positions: list[range], position: int) -> None:
    """Add a position behind the others."""
    if positions and positions[-1].stop == position:
        positions[-1] = range(positions[-1].start, position + 1)
    else:
        positions.append(range(position, position + 1))
