"""Segments: some entries of one tenant in their order, and the seal that holds them.

An entry's line is what is hashed and what is exported, byte by byte. A seal has the leaves of its entries, so that a
difference can be pointed at; their root; and the hash of the seal before, so that it stands for all entries before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Self

import orjson
from sqlalchemy import Row

from . import merkle

GENESIS = bytes(merkle.SIZE)
"""What the first seal of a tenant has in the place of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What holds one segment."""

    tenant: str
    number: int
    """1, 2, 3, ... per tenant."""
    last_id: int
    """Of its last entry. The segment begins after the last entry of the one before."""
    root: bytes
    leaves: tuple[bytes, ...]
    previous: bytes
    hash: bytes
    sealed_at: datetime

    @classmethod
    def of(cls, lines: Sequence[bytes], *, tenant: str, after: Self | None, last_id: int, at: datetime) -> Self:
        """Return the seal of `lines`, the next one `after` another, or the tenant's first."""
        leaves = tuple(map(merkle.leaf, lines))
        number, previous = (after.number + 1, after.hash) if after else (1, GENESIS)
        unhashed = cls(
            tenant=tenant,
            number=number,
            last_id=last_id,
            root=merkle.root(leaves),
            leaves=leaves,
            previous=previous,
            hash=b"",
            sealed_at=at,
        )
        return replace(unhashed, hash=unhashed.computed_hash())

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """Return the seal in a row of `audit_seal`."""
        return cls(
            tenant=row.tenant_id,
            number=row.number,
            last_id=row.last_id,
            root=row.root,
            leaves=_split(row.leaves),
            previous=row.previous,
            hash=row.hash,
            sealed_at=row.sealed_at,
        )

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Return the seal in an exported line.

        Raises:
            KeyError, TypeError, ValueError: somebody has changed the line.
        """
        hashes = {name: bytes.fromhex(told[name]) for name in ("root", "previous", "hash")}
        return cls(
            tenant=told["tenant"],
            number=int(told["number"]),
            last_id=int(told["last_id"]),
            leaves=_split(bytes.fromhex(told["leaves"])),
            sealed_at=datetime.fromisoformat(told["sealed_at"]),
            **hashes,
        )

    def to_row(self) -> dict[str, Any]:
        """Return the row of `audit_seal`."""
        return {
            "tenant_id": self.tenant,
            "number": self.number,
            "last_id": self.last_id,
            "root": self.root,
            "leaves": b"".join(self.leaves),
            "previous": self.previous,
            "hash": self.hash,
            "sealed_at": self.sealed_at,
        }

    def to_json(self) -> dict[str, Any]:
        """Return what an export says about it."""
        return {
            "tenant": self.tenant,
            "number": self.number,
            "last_id": self.last_id,
            "root": self.root.hex(),
            "leaves": b"".join(self.leaves).hex(),
            "previous": self.previous.hex(),
            "hash": self.hash.hex(),
            "sealed_at": _time(self.sealed_at),
        }

    def fault(self, *, tenant: str, after: "Seal | None") -> str | None:
        """Return what is wrong with the seal itself as the next one `after` another of `tenant`."""
        number, previous = (after.number + 1, after.hash) if after else (1, GENESIS)
        if self.tenant != tenant:
            return "the seal is another tenant's"
        if self.number != number:
            return f"deleted: segment {self.number} follows"
        if self.root != merkle.root(self.leaves):
            return "the leaves of the seal do not add up to its root"
        if self.hash != self.computed_hash():
            return "the seal does not have the hash that it says"
        return None if self.previous == previous else "the seal does not follow the one before"

    def computed_hash(self) -> bytes:
        """Return the hash over everything that the seal says, with a first byte that no leaf and no node has."""
        entries, sealed_at = len(self.leaves), _time(self.sealed_at)
        said = [self.tenant, self.number, self.last_id, entries, self.root.hex(), self.previous.hex(), sealed_at]
        return sha256(b"\x02" + orjson.dumps(said)).digest()


def line_of(row: Row[Any]) -> bytes:
    """Return all columns of an entry as one line of JSON, always the same."""
    return orjson.dumps(
        {
            "id": row.id,
            "transaction_id": row.transaction_id,
            "recorded_at": _time(row.recorded_at),
            "tenant": row.tenant_id,
            "actor": row.actor,
            "request_id": row.request_id,
            "trace_id": row.trace_id,
            "action": row.action,
            "resource_type": row.resource_type,
            "resource_id": row.resource_id,
            "before": row.before and row.before.hex(),
            "after": row.after and row.after.hex(),
        }
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the entries of a segment are not what was sealed."""

    how: str
    entry: int | None
    """The how-manieth of the segment, from 1; None where that cannot be told, as others beside it were dropped."""
    line: bytes | None
    """What is there; None if nothing is."""


def first_difference(
    seal: Seal, lines: Sequence[bytes], gone: Mapping[int, str] = MappingProxyType({})
) -> Difference | None:
    """Return where `lines` differ first from what was sealed; None when they do not.

    `gone` are the indices of leaves whose entries were dropped, each with the partition that they went with.
    """
    left = [index for index in range(len(seal.leaves)) if index not in gone]
    leaves = [seal.leaves[index] for index in left]
    found = [merkle.leaf(line) for line in lines]
    for line, leaf, index, sealed in zip(lines, found, left, leaves, strict=False):
        if leaf != sealed:
            how = _how(leaf, sealed, found, leaves)
            if how == "deleted":
                return Difference(how, index + 1, None)
            place = None if gone and how == "inserted" else index + 1
            return _put_back(seal, leaf, line, gone) or Difference(how, place, line)
    if len(found) < len(left):
        return Difference("deleted", left[len(found)] + 1, None)
    if len(found) == len(left):
        return None
    leaf, line = found[len(left)], lines[len(left)]
    place = None if gone else len(left) + 1
    return _put_back(seal, leaf, line, gone) or Difference("inserted", place, line)


def _put_back(seal: Seal, leaf: bytes, line: bytes, gone: Mapping[int, str]) -> Difference | None:
    for index, partition in gone.items():
        if seal.leaves[index] == leaf:
            return Difference(f"is there, and was recorded as dropped with {partition}", index + 1, line)
    return None


def _how(leaf: bytes, sealed: bytes, found: Sequence[bytes], leaves: Sequence[bytes]) -> str:
    known, still_there = leaf in leaves, sealed in found
    if still_there:
        return "moved" if known and len(found) <= len(leaves) else "inserted"
    return "deleted" if known else "edited"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _split(leaves: bytes) -> tuple[bytes, ...]:
    return tuple(leaves[at : at + merkle.SIZE] for at in range(0, len(leaves), merkle.SIZE))
