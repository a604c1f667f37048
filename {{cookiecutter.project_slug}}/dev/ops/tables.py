"""Tables of docs/slo.md: the promises, and after how long somebody is told that one is broken."""

from fractions import Fraction

from dev.markdown import table
from dev.ops.rule_tests import moment
from dev.ops.slos import Slo, Slos

_SHARES = (Fraction(1), Fraction(1, 10), Fraction(1, 20), Fraction(1, 50), Fraction(1, 100), Fraction(1, 500))


def blocks(slos: Slos) -> dict[str, str]:
    """Return each table by its name."""
    return {"slos": _promises(slos), "detection": _detection(slos)}


def _promises(slos: Slos) -> str:
    rows = [
        [f"`{name}`", slo.promise, f"{slo.objective:g} %", _left(slo, slos.window_days)]
        for name, slo in slos.slos.items()
    ]
    return table(["service level", "promise", "objective", "budget, if all is bad"], rows)


def _detection(slos: Slos) -> str:
    rows = []
    for name, slo in slos.slos.items():
        told = [_first(slo, slos, share) for share in _SHARES]
        rows.append([f"`{name}`", *told])
    return table(["bad events", *map(_percent, _SHARES)], rows)


def _first(slo: Slo, slos: Slos, share: Fraction) -> str:
    """Return which alert comes first, and when, if so many events are bad."""
    found = [
        (at, rate.severity)
        for rate in slos.burn_rates
        if (at := moment(slo, rate, share / slo.budget, slos.window_days)) is not None
    ]
    if not found:
        return "nobody"
    at, severity = min(found)
    return f"{severity} after {_readable(at)}"


def _left(slo: Slo, window_days: int) -> str:
    return _readable(float(slo.budget * window_days * 86_400))


def _readable(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3_600:.1f} h"


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):g} %"
