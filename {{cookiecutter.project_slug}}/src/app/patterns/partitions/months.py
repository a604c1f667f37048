"""A month in UTC, and where it begins in each type of key that tells a time."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

_MILLISECONDS_AT = 80  # the time is the first 48 of a UUIDv7's 128 bits


class NotByMonth(Exception):
    """The table is not partitioned by something that tells a time."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, time: datetime) -> "Month":
        """Return the month that `time`, in any zone, lies in."""
        utc = time.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, written: str) -> "Month":
        """Return the month that is written as `2026-11`.

        Raises:
            ValueError: it is none.
        """
        if parts := re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", written, re.ASCII):
            return cls(int(parts[1]), int(parts[2]))
        raise ValueError(f"a month is written as 2026-11, not as {written!r}")

    @classmethod
    def of_partition(cls, table: str, name: str) -> "Month | None":
        """Return which month of `table` the partition `name` is; None if its name says none."""
        parts = re.fullmatch(rf"{re.escape(table)}_(\d{{4}})_(0[1-9]|1[0-2])", name, re.ASCII)
        return cls(int(parts[1]), int(parts[2])) if parts else None

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def following(self) -> "Month":
        """The month after."""
        days = monthrange(self.year, self.month)[1]
        return Month.of(self.begins + timedelta(days=days))

    def ahead(self, months: int) -> "list[Month]":
        """Return this month and so many after it."""
        found = [self]
        while len(found) <= months:
            found.append(found[-1].following)
        return found

    def before(self, other: "Month") -> "list[Month]":
        """Return this month and those after it, up to the one before `other`."""
        return [self, *self.following.before(other)] if self < other else []

    def partition_of(self, table: str) -> str:
        """Return the name of its partition, such as `orders_2026_11`."""
        return f"{table}_{self.year:04}_{self.month:02}"

    def bounds(self, key_type: str) -> tuple[str, str]:
        """Return as literals of `key_type` where it begins and where the next one does.

        Raises:
            NotByMonth: a key of that type tells no time.
        """
        return _literal(self.begins, key_type), _literal(self.following.begins, key_type)


def _literal(time: datetime, key_type: str) -> str:
    if key_type == "uuid":  # version 7: the smallest of this millisecond
        milliseconds = (time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
        return str(UUID(int=milliseconds << _MILLISECONDS_AT))
    if key_type == "timestamp with time zone":
        return time.isoformat()
    raise NotByMonth(f"a key of type {key_type} tells no time")
