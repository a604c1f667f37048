"""What a fault is: a real thing that goes wrong, for which an alert is there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dev.prove.lane import Lane

_SECONDS = 25.0
_BURN_SECONDS = 60.0  # the short window of the second page, which has to empty, is 18 s here
Act = Callable[[Lane], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them. Its runbook ends it, or, where it is not ours to end, `heal` does."""

    alert: str
    lane: str
    what: str
    """In words, for the ledger."""
    inject: Act | None
    heal: Act | None = None
    companions: frozenset[str] = frozenset()
    """Alerts that may be told as well while it is on."""
    aftermath: frozenset[str] = frozenset()
    """Alerts that may be told later in this lane, as a budget stays spent."""
    severity: str = "page"
    """Of the alert that must be told, where a service level has both."""
    patience_seconds: float = 20.0
    """How long its beginning, and its end, may take to be told."""
    service: str = ""
    """Of the alert, if it is not the lane's."""
    lasts: bool = False
    """It comes of an earlier fault of the lane, and ends after days."""


FAULTS: dict[str, Fault] = {}
"""By alert."""


def fault(
    alert: str,
    lane: str,
    *,
    heal: Act | None = None,
    companions: tuple[str, ...] = (),
    aftermath: tuple[str, ...] = (),
    severity: str = "page",
    patience_seconds: float | None = None,
    service: str = "",
    lasts: bool = False,
) -> Callable[[Act], Act]:
    """Register the function, whose first line of documentation says what goes wrong."""

    def register(inject: Act) -> Act:
        assert alert not in FAULTS, f"{alert} has two faults"
        assert inject.__doc__
        what = inject.__doc__.partition("\n")[0]
        told, later = frozenset(companions), frozenset(aftermath)
        patience = patience_seconds or (_BURN_SECONDS if alert.endswith("BudgetBurn") else _SECONDS)
        FAULTS[alert] = Fault(alert, lane, what, inject, heal, told, later, severity, patience, service, lasts)
        return inject

    return register
