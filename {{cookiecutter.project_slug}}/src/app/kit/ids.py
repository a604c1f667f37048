"""Identifiers: of what is kept, sorted by the time they were made (UUIDv7, RFC 9562, 5.7); of what passes, random."""

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
    milliseconds, random_bits = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10))
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | random_bits & _RANDOM_BITS)


def random_hex() -> str:
    """Return 128 random bits as 32 hexadecimal digits, as trace ids are: need not be secret, and costs a tenth."""
    return random.getrandbits(128).to_bytes(16).hex()


def is_id(text: str) -> bool:
    """Tell whether `text`, which came from outside, has the shape of a generated id: no person writes that by hand."""
    return _ID.fullmatch(text) is not None
