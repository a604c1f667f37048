"""What happened to a service in a time, as Prometheus saw it: alerts, deployments, starts of processes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dev.prometheus_api import PrometheusApi, Series

_LULL = 300  # seconds; what comes back sooner was not gone, to a reader
_NOT_TOLD = {"__name__", "alertname", "alertstate", "service", "severity"}


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is looked at, in seconds of Unix time, of one service."""

    service: str
    start: float
    end: float

    def raw(self, metric: str, **labels: str) -> str:
        """Return the question for each value in this time, with its own moment."""
        return f"{self.now(metric, **labels)}[{int(self.end - self.start)}s]"

    def now(self, metric: str, **labels: str) -> str:
        """Return the question for the values at one moment."""
        chosen = ", ".join(
            f"{label}={json.dumps(value)}" for label, value in {"service": self.service, **labels}.items()
        )
        return f"{metric}{{{chosen}}}"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class _Run:
    """From when to when something was there; None: from before this time, or beyond it."""

    began: float | None
    ended: float | None


def timeline(prometheus: PrometheusApi, period: Period) -> list[Event]:
    """Return all events, in order of time.

    Raises:
        NotKnown: Prometheus cannot be relied on.
    """
    return sorted((event for source in SOURCES for event in source(prometheus, period)), key=lambda event: event.at)


def _alerts(prometheus: PrometheusApi, period: Period) -> Iterator[Event]:
    """Yield when each alert began to fire, and when it ended."""
    found = _runs(prometheus, period, "ALERTS", _alert, alertstate="firing")
    for alert, runs in found.items():
        for run in runs:
            yield Event(run.began or period.start, f"{alert} {'fires' if run.began else 'is firing already'}")
            ended = f"ends{_after(run)}" if run.ended else "is still firing"
            yield Event(run.ended or period.end, f"{alert} {ended}")


def _deployments(prometheus: PrometheusApi, period: Period) -> Iterator[Event]:
    """Yield when a version began to run, and when it was gone."""
    found = _runs(prometheus, period, "build_info", lambda labels: labels.get("version", "?"))
    begun = sorted((run.began or 0, version) for version, runs in found.items() for run in runs)
    for version, runs in found.items():
        for run in runs:
            before = [other for at, other in begun if run.began and at < run.began and other != version]
            if run.began and before:
                yield Event(run.began, f"Deployment: version {before[-1]} -> {version}")
            elif run.began:
                yield Event(run.began, f"Version {version} begins to run")
            if run.ended:
                yield Event(run.ended, f"Version {version} no longer runs")


def _starts(prometheus: PrometheusApi, period: Period) -> Iterator[Event]:
    """Yield each start of a process: the metric's value is its moment."""
    for series in prometheus.query(period.raw("process_start_time_seconds"), at=period.end):
        moments = sorted({value for _, value in series.points})
        name = " ".join(filter(None, (series.labels.get("job"), series.labels.get("instance"))))
        for index, moment in enumerate(moments):
            if period.start < moment <= period.end:
                yield Event(moment, f"Process {name} {'restarts' if index else 'starts'}")


SOURCES: Sequence[Callable[[PrometheusApi, Period], Iterable[Event]]] = (_alerts, _deployments, _starts)
"""Where events come from; another one is one more function."""


def _runs(
    prometheus: PrometheusApi, period: Period, metric: str, name: Callable[[Mapping[str, str]], str], **labels: str
) -> dict[str, list[_Run]]:
    """Return from when to when each thing was there that `name` tells apart by its labels."""
    seen: dict[str, set[float]] = {}
    for series in prometheus.query(period.raw(metric, **labels), at=period.end):
        seen.setdefault(name(series.labels), set()).update(at for at, _ in series.points)

    def there(at: float) -> set[str]:
        found: list[Series] = prometheus.query(period.now(metric, **labels), at=at)
        return {name(series.labels) for series in found}

    at_start, at_end = there(period.start), there(period.end)
    return {
        thing: list(_split(sorted(moments), from_before=thing in at_start, beyond=thing in at_end))
        for thing, moments in seen.items()
    }


def _split(moments: Sequence[float], *, from_before: bool, beyond: bool) -> Iterator[_Run]:
    began, last = moments[0], moments[0]
    first = True
    for moment in moments[1:]:
        if moment - last > _LULL:
            yield _Run(None if first and from_before else began, last)
            began, first = moment, False
        last = moment
    yield _Run(None if first and from_before else began, None if beyond else last)


def _alert(labels: Mapping[str, str]) -> str:
    more = [f"{label}={value}" for label, value in sorted(labels.items()) if label not in _NOT_TOLD]
    return f"{labels.get('alertname', '?')} ({', '.join([labels.get('severity', 'no severity'), *more])})"


def _after(run: _Run) -> str:
    if run.began is None or run.ended is None:
        return ""
    minutes = round((run.ended - run.began) / 60)
    return f" after {minutes} min"


def clock(at: float) -> str:
    """Return a moment for people."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
