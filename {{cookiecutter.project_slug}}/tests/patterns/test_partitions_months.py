"""patterns/partitions: where a month begins and ends, in each type of key."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from app.patterns.partitions import Month
from tests.support.order_ids import order_id


@pytest.mark.parametrize(
    ("time", "name"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "t_2026_12"),
        (datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "t_2026_12"),
        (datetime(2028, 2, 29, tzinfo=UTC), "t_2028_02"),
    ],
)
def test_a_month_is_one_of_utc(time: datetime, name: str) -> None:
    """Wherever its moment was read from a clock."""
    assert Month.of(time).partition_of("t") == name


def test_months_follow_each_other_without_a_gap() -> None:
    """Across the end of a year; where one ends, the next begins."""
    months = Month(2026, 11).ahead(14)

    assert (months[0], months[1], months[2], months[14]) == (
        *(Month(2026, 11), Month(2026, 12), Month(2027, 1)),
        Month(2028, 1),
    )
    for kind in ("uuid", "timestamp with time zone"):
        bounds = [month.bounds(kind) for month in months]
        assert [end for _, end in bounds[:-1]] == [first for first, _ in bounds[1:]]


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (datetime(2026, 10, 31, 23, 59, 59, 999000, tzinfo=UTC), False),
        (datetime(2026, 11, 1, tzinfo=UTC), True),
        (datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC), True),
        (datetime(2026, 12, 1, tzinfo=UTC), False),
    ],
)
def test_an_id_lies_in_the_month_it_was_made_in(moment: datetime, inside: bool) -> None:  # noqa: FBT001 - a parameter
    """To the millisecond, whatever its random bits are."""
    first, end = map(UUID, Month(2026, 11).bounds("uuid"))

    assert [first <= order_id(moment, random_bits) < end for random_bits in (0, 2**62 - 1)] == [inside] * 2
