"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562, section 5.7)."""

import os
import random
import re
import time
from uuid import UUID

# A UUID with its hyphens or without, or a ULID.
_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-7][0-9A-HJKMNP-TV-Z]{25}")
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM_BITS = 0x0FFF_3FFF_FFFF_FFFF_FFFF  # 74 bits, around the places of version and variant


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits that nobody can guess.

    Sorted keys keep B-tree inserts on the rightmost page; the order within one millisecond is random.
    """
    return UUID(int=_with(int.from_bytes(os.urandom(10))))


def uuid7_hex() -> str:
    """Return a new UUIDv7 as 32 hexadecimal digits, for what need not be secret: a fifth of the price of the other."""
    return f"{_with(random.getrandbits(80)):032x}"


def is_id(text: str) -> bool:
    """Tell whether `text`, which came from outside, has the shape of a generated id: no person writes that by hand."""
    return _ID.fullmatch(text) is not None


def _with(random_bits: int) -> int:
    milliseconds = time.time_ns() // 1_000_000
    return milliseconds << 80 | _VERSION_AND_VARIANT | random_bits & _RANDOM_BITS
