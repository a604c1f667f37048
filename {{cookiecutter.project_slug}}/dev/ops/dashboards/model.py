"""A dashboard in the words of whoever writes one; `grafana.py` says it in Grafana's.

Windows of rates: `$__rate_interval` follows the zoom and never holds fewer than four scrapes, so it is the usual one.
A panel that shows an alert's own value has the window of the alert, so that line and threshold meet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dev.ops.alerts import Dashboard as Uid

RATE = "[$__rate_interval]"
OWN = 'service="$service"'
"""What each choice of series has: the service that was chosen at the top of the dashboard."""
Kind = Literal["timeseries", "stat", "table", "text"]
Unit = Literal["short", "reqps", "ops", "s", "bytes", "Bps", "percentunit", "bool_yes_no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question to Prometheus."""

    expr: str
    legend: str
    """With `{{label}}` for a label's value; of a table the name of the column."""
    may_be_empty: str = ""
    """Why there is no data while all is well; without a reason there must be some."""
    exemplars: bool = False
    """Whether its points lead to traces."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where it becomes bad."""

    at: float
    severity: Literal["page", "ticket", "promise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture, and the question that it answers."""

    title: str
    answers: str
    queries: tuple[Query, ...] = ()
    kind: Kind = "timeseries"
    unit: Unit = "short"
    lines: tuple[Line, ...] = ()
    bad_below: bool = False
    """What is under a line is bad, and not what is over it."""
    alerts: tuple[str, ...] = ()
    """Those whose cause it shows: it links to their runbooks."""
    width: int = 8
    """Of 24."""
    stacked: bool = False
    of_all_services: bool = False
    """It is about what watches them, and not about one of them."""
    text: str = ""
    """Markdown; of a text alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One of them; alerts know it by its uid."""

    uid: Uid
    title: str
    about: str
    rows: tuple[Row, ...]
    since: str = "now-3h"

    @property
    def panels(self) -> Iterator[Panel]:
        """All of them, in the order of reading."""
        return (panel for row in self.rows for panel in row.panels)


def filled(expr: str, *, service: str = "service", rate_interval: str = "5m") -> str:
    """Return an expression with values in place of Grafana's variables."""
    return expr.replace("$__rate_interval", rate_interval).replace("$service", service)


def rate(metric: str, chosen: str = "", *, by: str = "", window: str = RATE) -> str:
    """Return the sum of a counter's rates; `chosen` are further matchers."""
    return _summed("rate", metric, chosen, by, window)


def increase(metric: str, chosen: str = "", *, by: str = "", window: str) -> str:
    """Return how much a counter has grown within a window."""
    return _summed("increase", metric, chosen, by, window)


def share(metric: str, bad: str, chosen: str = "", *, by: str = "", window: str = RATE) -> str:
    """Return which part of the events is bad: 0 where none ever was, although there is no series of bad ones then."""
    everything = rate(metric, chosen, by=by, window=window)
    some = rate(metric, ", ".join(filter(None, (chosen, bad))), by=by, window=window)
    return f"({some} or 0 * {everything}) / ({everything} > 0)"


def quantile(of: float, histogram: str, chosen: str = "", *, by: str = "", window: str = RATE) -> str:
    """Return what that part of a histogram's events stays under."""
    labels = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({of:g}, {rate(f'{histogram}_bucket', chosen, by=labels, window=window)})"


def _summed(function: str, metric: str, chosen: str, by: str, window: str) -> str:
    matchers = ", ".join(filter(None, (OWN, chosen)))
    return f"sum{f' by ({by})' if by else ''} ({function}({metric}{{{matchers}}}{window}))"
