"""kit/ids.py."""

import time
from uuid import UUID, uuid4

import pytest

from app.kit.ids import is_id, random_hex, uuid7


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


@pytest.mark.parametrize(
    "made",
    [str(uuid4()), uuid4().hex, str(uuid7()), random_hex(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
    ids=["UUIDv4", "UUIDv4 in digits", "UUIDv7", "digits", "ULID"],
)
def test_a_generated_id_is_known_by_its_shape(made: str) -> None:
    """UUIDs of any version, with hyphens or without, and ULIDs."""
    assert is_id(made)


@pytest.mark.parametrize("text", ["", "order-7", "4111111111111111", "a" * 33, "g" * 32, "01ARZ3NDEKTSV4RRFFQ69G5FAU"])
def test_text_of_a_person_is_no_id(text: str) -> None:
    """Words, cards and near misses are refused."""
    assert not is_id(text)
