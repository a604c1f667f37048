"""How much is logged: lines and bytes by event, and the lines that were dropped."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.kit.instruments import OTHER, declare

_MAX_EVENTS = 100  # events have static names; a library that makes them up must not grow series without end
_REASONS = ("rate_limited", "sampled_out", "unwritable")
_LINES = declare("log_lines_total", "counter", {"event": _MAX_EVENTS}, limit=_MAX_EVENTS + 1)
_BYTES = declare("log_bytes_total", "counter", {"event": _MAX_EVENTS}, limit=_MAX_EVENTS + 1)
_DROPPED = declare(
    "log_lines_dropped_total", "counter", {"event": _MAX_EVENTS, "reason": _REASONS}, limit=4 * (_MAX_EVENTS + 1)
)


class Volume(Collector):
    """Counters of plain integers: one of prometheus_client costs as much as the rest of a line.

    They are not safe between threads: whoever counts holds a lock.
    """

    def __init__(self, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._written: dict[str, list[int]] = {}
        self._dropped: Counter[tuple[str, str]] = Counter({(OTHER, "unwritable"): 0})  # there before the first
        self._untold: Counter[str] = Counter()
        registry.register(self)

    def name(self, event: str) -> str:
        """Return the name that `event` is counted under."""
        if event not in self._written:
            if len(self._written) >= _MAX_EVENTS:
                event = OTHER
            self._written.setdefault(event, [0, 0])
        return event

    def count(self, event: str, size: int) -> None:
        """Count one line of `size` bytes."""
        written = self._written.get(event)
        if written is None:
            written = self._written[self.name(event)]
        written[0] += 1
        written[1] += size

    def drop(self, event: str, reason: str) -> None:
        """Count one line that was not written."""
        name = self.name(event)
        self._dropped[name, reason] += 1
        self._untold[name] += 1

    def take_untold(self) -> dict[str, int]:
        """Return how many lines of each event were dropped since this was asked last, the most first."""
        untold = dict(self._untold.most_common())
        self._untold.clear()
        return untold

    def describe(self) -> Iterable[Metric]:
        """Name the metrics without their samples, so that the registry can refuse a second one of the name."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Return the samples as Prometheus reads them."""
        lines, size, dropped = families = self._families()
        for event, (count, total) in list(self._written.items()):
            lines.add_metric([event], count)
            size.add_metric([event], total)
        for labels, count in list(self._dropped.items()):
            dropped.add_metric(list(labels), count)
        return families

    def _families(self) -> tuple[CounterMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        return (
            CounterMetricFamily(_LINES, "Lines written.", labels=["event"]),
            CounterMetricFamily(_BYTES, "Bytes written.", labels=["event"]),
            CounterMetricFamily(_DROPPED, "Lines not written, and why.", labels=["event", "reason"]),
        )


VOLUME = Volume()
