"""Verifying: walks the log from its first entry, and names the first position where something is wrong.

The database is checked against its seals, the export against its own seals, its checkpoints and the database. Nothing
is locked, and no transaction stays open: what is appended meanwhile is left for the next time. Entries of a month that
was dropped need not be in the database, if a record says so which an entry of the log stands for; see dropped.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.object_storage import Store

from . import archive, dropped, reading
from .archive import Segment
from .checkpoints import Signer
from .dropped import Excused
from .segments import Seal, first_difference

_SEALS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """The first position of one tenant's log where something is wrong."""

    tenant: str
    place: Literal["database", "export"]
    segment: int
    what: str
    entry: int | None = None
    """The how-manieth of its segment, from 1; None where the segment as a whole is meant."""
    id: int | None = None

    def __str__(self) -> str:
        entry = f", entry {self.entry}" if self.entry else ""
        id_ = f" (id {self.id})" if self.id is not None else ""
        return f"{self.place}: tenant {self.tenant}, segment {self.segment}{entry}{id_}: {self.what}"


async def verify_database(connection: AsyncConnection, tenant: str) -> Damage | None:
    """Return the first damage in the tables, or None.

    `connection` is one that commits each statement, and sees all tenants.
    """
    said = await dropped.read(connection, tenant)
    while True:
        damage = await _walk(connection, tenant, Excused(said.records))
        if fault := await dropped.fault(connection, tenant, said):
            of_record = _at(fault, tenant)
            # The first of both. In the same segment, the record's is the reason of the other.
            damage = of_record if damage is None or of_record.segment <= damage.segment else damage
        before, said = said, await dropped.read(connection, tenant) if damage else said
        if before == said:  # otherwise a month was dropped meanwhile
            return damage


async def _walk(connection: AsyncConnection, tenant: str, excused: Excused) -> Damage | None:
    # First, as both only grow: what they say now must be found by the walk.
    exported = await reading.exported_number(connection, tenant)
    sealed_id = await reading.sealed_id(connection)
    last: Seal | None = None
    while seals := await reading.seals(
        connection, tenant, after=last.number if last else reading.BEFORE_ALL, limit=_SEALS_AT_ONCE
    ):
        for seal in seals:
            after_id = last.last_id if last else reading.BEFORE_ALL
            found = await reading.entries(connection, tenant, after_id=after_id, last_id=seal.last_id)
            segment = Segment(seal, [entry.line for entry in found])
            if damage := _damage(segment, "database", tenant=tenant, after=last, gone=excused.of(seal)):
                return damage
            last = seal
    number, last_id = (last.number, last.last_id) if last else (0, reading.BEFORE_ALL)
    if exported > number:
        return Damage(tenant, "database", number + 1, f"deleted: the log was exported up to segment {exported}")
    if left := await reading.entries(connection, tenant, after_id=last_id, last_id=sealed_id):
        what = "inserted after its time was sealed, or its seal was deleted"
        return Damage(tenant, "database", number + 1, what, entry=1, id=left[0].id)
    if record := excused.unfounded():
        what = f"the record that {record.partition} was dropped is not about what was sealed"
        return _at(await dropped.position_of(connection, record, what), tenant)
    return None


async def verify_export(
    store: Store, signer: Signer, tenant: str, connection: AsyncConnection | None = None
) -> Damage | None:
    """Return the first damage in the exported objects, or None; with a `connection`, also where the database differs.

    Raises:
        StorageUnavailable: the storage cannot be reached.
    """
    exported = await reading.exported_number(connection, tenant) if connection else 0
    names = set(await store.names(archive.folder(tenant)))
    last: Seal | None = None
    while True:
        number = last.number if last else 0
        name = archive.object_name(tenant, number + 1)
        if name not in names:
            break
        segments, unreadable = archive.parse(await store.get(name) or b"")
        known = await _hashes(connection, tenant, after=number, limit=len(segments)) if connection else None
        for segment in segments:
            damage = _damage(segment, "export", tenant=tenant, after=last) or _other(segment.seal, known)
            damage = damage or (await _unrecorded(connection, segment) if connection else None)
            if damage:
                return damage
            last = segment.seal
        if unreadable or last is None:
            what = f"line {unreadable} of {name} cannot be read"
            return Damage(tenant, "export", (last.number if last else 0) + 1, what)
        checkpoint = archive.checkpoint_name(tenant, number + 1)
        # Between an object and its checkpoint an exporter may just be at work.
        expected = checkpoint in names or exported >= last.number
        if expected and (fault := signer.fault(await store.get(checkpoint) or b"", last)):
            return Damage(tenant, "export", last.number, fault)
        names -= {name, checkpoint}
    if exported > number:
        return Damage(tenant, "export", number + 1, f"deleted: the log was exported up to segment {exported}")
    if names:
        return Damage(tenant, "export", number + 1, f"deleted: {min(names)} is behind it")
    return None


def _damage(
    segment: Segment,
    place: Literal["database", "export"],
    *,
    tenant: str,
    after: Seal | None,
    gone: Mapping[int, str] = MappingProxyType({}),
) -> Damage | None:
    seal = segment.seal
    if fault := seal.fault(tenant=tenant, after=after):
        return Damage(tenant, place, (after.number if after else 0) + 1, fault)
    difference = first_difference(seal, segment.lines, gone)
    if difference is None:
        return None
    id_ = _id(difference.line) if difference.line is not None else None
    return Damage(tenant, place, seal.number, difference.how, entry=difference.entry, id=id_)


def _at(found: dropped.Position, tenant: str) -> Damage:
    return Damage(tenant, "database", found.segment, found.what, entry=found.entry, id=found.id)


def _other(seal: Seal, known: Mapping[int, bytes] | None) -> Damage | None:
    if known is None or known.get(seal.number) == seal.hash:
        return None
    if seal.number not in known:
        return Damage(seal.tenant, "database", seal.number, "deleted: the export has it")
    return Damage(seal.tenant, "database", seal.number, "sealed again: the export has another seal")


async def _unrecorded(connection: AsyncConnection, segment: Segment) -> Damage | None:
    """Return the first entry that says that a month was dropped, and of which the database has no such record."""
    for number, line in enumerate(segment.lines, 1):
        if not await dropped.is_recorded(connection, segment.seal.tenant, line):
            what = "says that a month was dropped, and the database has another record of that, or none"
            return Damage(segment.seal.tenant, "database", segment.seal.number, what, entry=number, id=_id(line))
    return None


async def _hashes(connection: AsyncConnection, tenant: str, *, after: int, limit: int) -> Mapping[int, bytes]:
    seals = await reading.seals(connection, tenant, after=after, limit=limit)
    return {seal.number: seal.hash for seal in seals}


def _id(line: bytes) -> int | None:
    try:
        return int(orjson.loads(line)["id"])
    except (ValueError, LookupError, TypeError):
        return None
