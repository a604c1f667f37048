"""What is gone: for each month that was dropped, a record per tenant of which of its entries went with it.

An entry's position is its place among all of its tenant, from 1, in the order in which they were sealed. Seals stay, so
positions and seals together say which leaves a record is about. A record holds the hash of the one before, and an entry
of the log, sealed and exported as others are, holds the hash of the record: the newest one stands for all before it,
also when theirs are in months that have been dropped since.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

import orjson
from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.ext.asyncio import AsyncConnection

from . import reading
from .merkle import Growing
from .models import audit_dropped
from .reading import Entry
from .segments import GENESIS, Seal, line_of

ACTION = "audit_log.dropped"
"""What an entry says that stands for a record. Policies leave it to the tables' owner to say that."""

# The entries that say what was dropped; all have the same type of resource, so an index finds them.
_ANNOUNCED = text("""
    SELECT * FROM audit_log
    WHERE tenant_id = :tenant AND resource_type = 'audit_log' AND action = 'audit_log.dropped' ORDER BY id
""")
_KNOWN = text("SELECT EXISTS (SELECT FROM audit_dropped WHERE tenant_id = :tenant AND hash = :hash)")
# The segment that a position is in, and at which place.
_SEGMENT_AT = text("""
    SELECT number, CAST(:position AS bigint) - upto + size AS place FROM (
        SELECT number, length(leaves) / 32 AS size, sum(length(leaves) / 32) OVER (ORDER BY number) AS upto
        FROM audit_seal WHERE tenant_id = :tenant
    ) AS segments WHERE upto >= CAST(:position AS bigint) ORDER BY number LIMIT 1
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What went of one tenant with one month."""

    tenant: str
    number: int
    """1, 2, 3, ... per tenant."""
    partition: str
    first_id: int
    last_id: int
    entries: int
    positions: tuple[range, ...]
    root: bytes
    """Over the leaves of its entries in their order."""
    previous: bytes
    hash: bytes = b""
    dropped_at: datetime

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """Return the record in a row of `audit_dropped`."""
        told = dict(row._mapping)  # noqa: SLF001 - its public name
        ranges = tuple(range(found.lower or 0, found.upper or 0) for found in told.pop("positions"))
        return cls(tenant=told.pop("tenant_id"), positions=ranges, **told)

    def to_row(self) -> dict[str, Any]:
        """Return the row of `audit_dropped`."""
        told = {name: getattr(self, name) for name in audit_dropped.c.keys() if name not in ("tenant_id", "positions")}  # noqa: SIM118 - no dict
        return {**told, "tenant_id": self.tenant, "positions": [Range(it.start, it.stop) for it in self.positions]}

    def hashed(self) -> Self:
        """Return it with its hash."""
        return replace(self, hash=self.computed_hash())

    def computed_hash(self) -> bytes:
        """Return the hash over everything that the record says, with a first byte that nothing else has."""
        positions = [[it.start, it.stop] for it in self.positions]
        ids, hashes = [self.first_id, self.last_id], [self.root.hex(), self.previous.hex()]
        at = self.dropped_at.astimezone(UTC).isoformat(timespec="microseconds")
        said = [self.tenant, self.number, self.partition, ids, self.entries, positions, hashes, at]
        return sha256(b"\x03" + orjson.dumps(said)).digest()

    def follows(self, before: "Record | None") -> bool:
        """Return whether it is as it was written, right after another."""
        number, previous = (before.number + 1, before.hash) if before else (1, GENESIS)
        return (self.number, self.previous, self.hash) == (number, previous, self.computed_hash())


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is said about a tenant's dropped months: by the records, and by the entries that announce them."""

    records: Sequence[Record]
    announced: Sequence[tuple[bytes | None, Entry]]
    """Hash of a record, and the entry that is there for it."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where something is wrong with a record."""

    segment: int
    entry: int | None
    what: str
    id: int | None = None


async def read(connection: AsyncConnection, tenant: str) -> Dropped:
    """Return what is said about a tenant."""
    query = select(audit_dropped).where(audit_dropped.c.tenant_id == tenant).order_by(audit_dropped.c.number)
    records = [Record.from_row(row) for row in await connection.execute(query)]
    rows = await connection.execute(_ANNOUNCED, {"tenant": tenant})
    return Dropped(records, [(row.after, Entry(row.id, line_of(row))) for row in rows])


async def fault(connection: AsyncConnection, tenant: str, dropped: Dropped) -> Position | None:
    """Return which record is not what was announced, or which announced one is missing."""
    before: Record | None = None
    unannounced: Record | None = None
    hashes = {after for after, _ in dropped.announced}
    for record in dropped.records:
        if not record.follows(before):
            return await position_of(connection, record, f"the record that {record.partition} was dropped was changed")
        unannounced = None if record.hash in hashes else unannounced or record
        before = record
    if unannounced:
        what = f"recorded as dropped with {unannounced.partition}, which no entry says"
        return await position_of(connection, unannounced, what)
    known = {record.hash for record in dropped.records}
    for after, entry in dropped.announced:
        if after not in known:
            what = "says that a month was dropped, and the record of that is missing or was changed"
            proof = await reading.proof_of(connection, tenant, entry)
            segment = proof.seal.number if proof else await reading.next_number(connection, tenant)
            return Position(segment, proof.index + 1 if proof else None, what, entry.id)
    return None


async def is_recorded(connection: AsyncConnection, tenant: str, line: bytes) -> bool:
    """Return whether the database has the record that an exported entry announces; True if it announces none."""
    if ACTION.encode() not in line:  # nearly always
        return True
    told = orjson.loads(line)
    known = {"tenant": tenant, "hash": bytes.fromhex(told["after"] or "")}
    return told["action"] != ACTION or bool(await connection.scalar(_KNOWN, known))


async def position_of(connection: AsyncConnection, record: Record, what: str) -> Position:
    """Return where the first entry is that a record is about."""
    first = record.positions[0].start if record.positions else 1
    row = (await connection.execute(_SEGMENT_AT, {"tenant": record.tenant, "position": first})).one_or_none()
    return Position(row.number, int(row.place), what) if row else Position(1, None, what)


@dataclass(slots=True)
class Excused:
    """Which leaves of each seal need not be there, told from seal to seal of one tenant, beginning with its first."""

    records: Sequence[Record]
    _before: int = 0
    """How many positions the seals so far had."""
    _trees: Mapping[int, Growing] = field(init=False)

    def __post_init__(self) -> None:
        self._trees = {record.number: Growing() for record in self.records}

    def of(self, seal: Seal) -> Mapping[int, str]:
        """Return the indices of the next seal's leaves that are recorded as dropped, and with which partition."""
        found: dict[int, str] = {}
        for record in self.records:
            for index in self._indices(record, len(seal.leaves)):
                found[index] = record.partition
                self._trees[record.number].append(seal.leaves[index])
        self._before += len(seal.leaves)
        return found

    def unfounded(self) -> Record | None:
        """Return a record that does not stand for what is sealed at its positions; for after the last seal."""
        for record in self.records:
            tree = self._trees[record.number]
            if (tree.size, tree.root()) != (record.entries, record.root):
                return record
        return None

    def _indices(self, record: Record, size: int) -> Iterator[int]:
        first, end = self._before + 1, self._before + size + 1
        for part in record.positions:
            for position in range(max(part.start, first), min(part.stop, end)):
                yield position - first
