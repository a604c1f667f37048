"""Ids of orders that were, or will be, placed at another moment."""

from datetime import UTC, datetime, timedelta
from uuid import UUID


def order_id(moment: datetime, random_bits: int = 0) -> UUID:
    """Return the UUIDv7 of a moment."""
    milliseconds = (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | random_bits)
