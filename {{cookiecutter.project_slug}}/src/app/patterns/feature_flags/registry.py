"""What a flag is. Each one is declared once, as a constant of its domain, and asked for by that constant.

Flag
├── Switch        on or off
│   ├── ReleaseFlag   guards what is new, and goes when that has proven itself
│   └── KillSwitch    stops something in an incident; stays, and is looked at again
└── Experiment    one of several variants
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

ON, OFF = "on", "off"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(ABC):
    """What all flags have."""

    name: str
    """As in Unleash: words of lower case with hyphens."""
    owner: str
    """Who removes it, or decides about it in an incident."""
    purpose: str
    """What is so while it is on."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a flag: such as `orders-stopped`")
        if not (self.owner and self.purpose):
            raise ValueError(f"{self.name} lacks an owner or a purpose")

    @property
    @abstractmethod
    def answers(self) -> tuple[str, ...]:
        """All answers there can be, as they are logged and counted."""

    @property
    @abstractmethod
    def ends(self) -> tuple[date, str]:
        """When somebody has to act, and what has to be done then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Flag):
    """On or off."""

    default: bool = False
    """The answer when no rules are known: the safe one."""

    @property
    def answers(self) -> tuple[str, ...]:
        return (OFF, ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFlag(Switch):
    """Guards what is new."""

    expires: date
    """By then one side of it is deleted, and the flag with it."""

    @property
    def ends(self) -> tuple[date, str]:
        return self.expires, "delete the flag and the side that lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch(Switch):
    """Stops something while it is on. It does not expire, but a switch that nobody has tried may not work."""

    review: date
    """By then somebody has thrown it, outside production, and seen that it still does what it says."""

    @property
    def ends(self) -> tuple[date, str]:
        return self.review, "try it, and set the date of the next review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Flag):
    """One of several variants; what else the server names is answered with the default."""

    variants: tuple[str, ...]
    default: str
    expires: date

    def __post_init__(self) -> None:
        Flag.__post_init__(self)
        if self.default not in self.variants:
            raise ValueError(f"{self.name}: its default is none of its variants")

    @property
    def answers(self) -> tuple[str, ...]:
        return self.variants

    @property
    def ends(self) -> tuple[date, str]:
        return self.expires, "keep one variant, and delete the others and the flag"


class Flags(Protocol):
    """What code that asks for flags is given."""

    def is_on(self, switch: Switch) -> bool:
        """Return whether `switch` is on for the work in hand."""
        ...

    def variant(self, experiment: Experiment) -> str:
        """Return the variant of the work in hand."""
        ...


def overdue(flags: Iterable[Flag], today: date) -> list[str]:
    """Return a line for each flag whose time is over: what it is, and what to do."""
    return [
        f"{flag.name}: its time was over on {flag.ends[0]}; {flag.owner}: {flag.ends[1]}"
        for flag in flags
        if flag.ends[0] < today
    ]
