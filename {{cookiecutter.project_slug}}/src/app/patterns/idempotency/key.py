"""What a key stands for: whose it is, for which operation, and with which content."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.kit import context


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one caller for one operation. Digests alone are kept: what clients choose as keys may be a secret."""

    tenant: str
    digest: bytes
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """Return the number under which PostgreSQL locks the key."""
        return int.from_bytes(self.digest[:8], signed=True)


def key_of(text: str, *, operation: str, target: tuple[str, ...], body: bytes) -> Key:
    """Return the key that the caller in hand means by `text`.

    Args:
        text: what the header holds.
        operation: method and route; each has keys of its own.
        target: what the request is about besides its body, such as path and query.
        body: as it came.
    """
    caller = context.current()
    named = json.dumps([caller.tenant, caller.actor, operation, text])
    asked = json.dumps([operation, *target]).encode() + b"\n" + _canonical(body)
    return Key(caller.tenant, digest=sha256(named.encode()).digest(), fingerprint=sha256(asked).digest())


def _canonical(body: bytes) -> bytes:
    """Return JSON without what means nothing in it: order of names, blanks, 2.0 for 2. Anything else stays as it is."""
    try:
        document: Any = json.loads(body, parse_float=_number)
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
