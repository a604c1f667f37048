"""What Prometheus says of each service level of one service: how much of the budget is left, how fast it is spent."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dev.http_client import NotKnown
from dev.ops.durations import seconds
from dev.ops.slos import Slo, Slos
from dev.prometheus_api import PrometheusApi, Series
from dev.release_gate.policy import Policy

_LEFT = "slo:error_budget:remaining"
_LOOK_BACK = "1h"  # how far back a level that has fallen silent is looked for, to say since when


@dataclass(frozen=True, slots=True)
class Burn:
    """How many times too fast the budget was spent over a window, and by how many bad events."""

    times: float
    bad_events: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a level."""

    percent_left: float
    burn: Mapping[str, Burn]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has happened in the window of the budget, and that is excused."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing can be said of a level."""

    why: str


Level = Measured | Idle | Unknown


@dataclass(frozen=True, slots=True)
class Measurement:
    """All levels, and why they tell less than the whole, if they do."""

    levels: Mapping[str, Level]
    blind: str | None


def measure(prometheus: PrometheusApi, service: str, levels: Slos, policy: Policy) -> Measurement:
    """Ask for everything.

    Raises:
        NotKnown: Prometheus cannot be relied on.
    """
    of_service = f"service={json.dumps(service)}"
    told = f"timestamp({_LEFT}{{{of_service}}})"
    names = "|".join(["up", _LEFT, *(metric for window in policy.freeze.burn for metric in _metrics(window))])
    rows = prometheus.query(f'{{__name__=~"{names}", {of_service}}}')
    last = prometheus.query(f"{told} or max_over_time({told}[{_LOOK_BACK}:15s])")
    told_at = {row.labels.get("slo"): row.value for row in last}
    found: dict[str, Level] = {}
    for name, slo in levels.slos.items():
        try:
            measured = _measured(slo, [row for row in rows if row.labels.get("slo") == name], told_at.get(name), policy)
            found[name] = measured or _idle(prometheus, name, slo, of_service, policy)
        except NotKnown as exc:
            found[name] = Unknown(str(exc))
    return Measurement(found, _blind([row for row in rows if row.labels.get("__name__") == "up"]))


def _metrics(window: str) -> tuple[str, str, str]:
    return f"slo:errors:ratio_rate{window}", f"slo:bad_events:increase{window}", f"slo:events:increase{window}"


def _measured(slo: Slo, rows: Sequence[Series], told_at: float | None, policy: Policy) -> Measured | None:
    """Return what is known of a level; None if there is no word of it."""
    left = _one(rows, _LEFT)
    if left is None and told_at is None:
        return None
    now = max((row.points[-1][0] for row in rows), default=math.inf)  # of Prometheus's clock
    if left is None or told_at is None or now - told_at > seconds(policy.stale_after):
        since = "an unknown time" if told_at is None else f"{datetime.fromtimestamp(told_at, UTC):%H:%M:%S} UTC"
        raise NotKnown(f"stale: Prometheus has counted nothing since {since}")
    return Measured(left * 100, {window: _burn(slo, rows, window) for window in policy.freeze.burn})


def _burn(slo: Slo, rows: Sequence[Series], window: str) -> Burn:
    ratio, bad, events = (_one(rows, metric) for metric in _metrics(window))
    if not events:  # that the budget is told proves that this was looked at, too
        return Burn(0, 0)
    if ratio is None or bad is None:
        raise NotKnown(f"there were events within {window}, and no share of bad ones: its rules are incomplete")
    return Burn(ratio / float(slo.budget), bad)


def _one(rows: Sequence[Series], metric: str) -> float | None:
    values = [row.value for row in rows if row.labels.get("__name__") == metric]
    if len(values) > 1:
        raise NotKnown(f"{len(values)} series are called {metric}: ask a Prometheus that has one of each level")
    if values and not math.isfinite(values[0]):
        raise NotKnown(f"{metric} is {values[0]}")
    return values[0] if values else None


def _idle(prometheus: PrometheusApi, name: str, slo: Slo, of_service: str, policy: Policy) -> Idle:
    """Return the excuse of a level of which there is no word.

    Raises:
        NotKnown: it has none.
    """
    if name not in policy.may_be_idle:
        raise NotKnown("no data: its rules are not loaded, or nothing of it has happened yet")
    where = ", ".join([of_service, *(f"{label}={json.dumps(value)}" for label, value in slo.events.where.items())])
    counted = prometheus.query(f"sum({slo.events.counter}{{{where}}})")
    if any(row.value != 0 for row in counted):
        raise NotKnown("no data, though such events are counted: its rules are not loaded")
    return Idle(policy.may_be_idle[name])


def _blind(processes: Sequence[Series]) -> str | None:
    """Return why something may go on that nobody counts; None if every process is scraped."""
    if not processes:
        return "no process of this service is scraped: look at the name, and at which Prometheus it is"
    down = sorted(row.labels.get("instance", "?") for row in processes if row.value != 1)
    return f"{len(down)} of {len(processes)} processes cannot be scraped: {', '.join(down)}" if down else None
