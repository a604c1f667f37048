"""How much telemetry a running service makes: counted by its own metrics, between two scrapes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

REQUESTS = "http_server_request_duration_seconds_count"
LOG_LINES, LOG_BYTES, LOG_LINES_DROPPED = "log_lines", "log_bytes", "log_lines_dropped"
SPANS, SPAN_BYTES, SPANS_DROPPED = "spans_exported", "span_bytes_exported", "spans_dropped"
# Samples, counters without their `_total`, and the label whose values tell where the amount comes from.
_SOURCES = {
    REQUESTS: "http_route",
    LOG_LINES: "event",
    LOG_BYTES: "event",
    LOG_LINES_DROPPED: "event",
    SPANS: "name",
    SPAN_BYTES: "name",
    SPANS_DROPPED: "reason",
}
_SCRAPE_TIMEOUT_SECONDS = 5.0

Amounts = Mapping[str, float]
"""How much came from each source."""
Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""The metric, and the name and labels of one of its samples."""


class Unmeasurable(Exception):
    """There is nothing to measure; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one process exposed at one moment."""

    series: frozenset[Series]
    counted: Mapping[str, Amounts]
    """For each counter of `_SOURCES` that is exposed: how much, by source."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What all processes together did between two snapshots."""

    counted: Mapping[str, Amounts]
    series: Mapping[str, Counter[str]]
    """By process: how many series at the end, by metric."""
    new_series: Counter[str]
    """By metric."""

    @property
    def requests(self) -> float:
        """How many requests were answered."""
        return self.total(REQUESTS)

    def total(self, counter: str) -> float:
        """Return the amount from all sources."""
        return sum(self.counted[counter].values())


def scrape(urls: Sequence[str]) -> dict[str, Snapshot]:
    """Read the metrics of each process; an address without a path means its `/metrics`.

    Raises:
        Unmeasurable: one of them cannot be read.
    """
    return {url: _parsed(url, _read(url)) for url in urls}


def measure(before: Mapping[str, Snapshot], after: Mapping[str, Snapshot]) -> Usage:
    """Return what happened between two scrapes of the same processes.

    Raises:
        Unmeasurable: nothing happened, a process was restarted in between, or what counts is not exposed.
    """
    exposed = {counter for snapshot in after.values() for counter in snapshot.counted}
    if missing := sorted(_SOURCES.keys() - exposed):
        raise Unmeasurable(f"{', '.join(after)} exposes no {missing[0]}: is it this service, in a version that counts?")
    counted: dict[str, dict[str, float]] = {counter: defaultdict(float) for counter in _SOURCES}
    new_series: Counter[str] = Counter()
    for url, end in after.items():
        start = before[url]
        for counter, amounts in end.counted.items():
            earlier = start.counted.get(counter, {})
            if any(amounts.get(source, 0) < amount for source, amount in earlier.items()):
                raise Unmeasurable(f"{url} was restarted while it was measured; measure again")
            for source, amount in amounts.items():
                counted[counter][source] += amount - earlier.get(source, 0)
        new_series.update(metric for metric, *_ in end.series - start.series)
    usage = Usage(
        counted=counted,
        series={url: Counter(metric for metric, *_ in snapshot.series) for url, snapshot in after.items()},
        new_series=new_series,
    )
    if usage.requests <= 0:
        raise Unmeasurable("no requests between the two scrapes: send some, or wait longer with --seconds")
    return usage


def _read(url: str) -> str:
    try:
        address = httpx.URL(url)
        if address.path == "/":
            address = address.copy_with(path="/metrics")
        answer = httpx.get(address, headers={"Accept": "text/plain"}, timeout=_SCRAPE_TIMEOUT_SECONDS)
        return answer.raise_for_status().text
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        reason = " ".join(str(exc).split()) or type(exc).__name__
        raise Unmeasurable(f"{url} cannot be read: {reason}") from exc


def _parsed(url: str, exposed: str) -> Snapshot:
    series: set[Series] = set()
    counted: dict[str, dict[str, float]] = {}
    try:
        for family in text_string_to_metric_families(exposed):
            # A counter that has counted nothing yet has no samples, but it is there.
            counted |= {name: defaultdict(float) for name in (family.name, f"{family.name}_count") if name in _SOURCES}
            for sample in family.samples:
                series.add((family.name, sample.name, tuple(sorted(sample.labels.items()))))
                name = sample.name.removesuffix("_total")
                if name in _SOURCES:
                    counted[name][sample.labels.get(_SOURCES[name], "")] += sample.value
    except ValueError as exc:
        raise Unmeasurable(f"{url} does not answer with metrics") from exc
    return Snapshot(frozenset(series), counted)
