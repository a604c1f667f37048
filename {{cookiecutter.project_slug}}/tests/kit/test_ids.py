"""kit/ids.py."""

import time
from uuid import UUID

from app.kit.ids import uuid7


def test_an_id_is_a_version_7_uuid_of_the_rfc_variant() -> None:
    """An id says of itself that it is a UUIDv7 as RFC 9562 lays it out."""
    made = uuid7()

    assert isinstance(made, UUID)
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_an_id_holds_the_millisecond_it_was_made_in() -> None:
    """The first 48 bits are Unix milliseconds, so ids sort by time."""
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after


def test_ids_made_together_differ() -> None:
    """Within one millisecond, 74 random bits keep ids apart."""
    assert len({uuid7() for _ in range(10_000)}) == 10_000
