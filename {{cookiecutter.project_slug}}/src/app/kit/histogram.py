"""A histogram on plain integers, with exemplars, for what is observed on every request.

prometheus_client's own costs five times as much per observation, for locks and multi-process files that one event loop
does not need. So observe from the event loop, not from other threads.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

_Seen = tuple[int, float, float]
"""An exemplar: trace id, value, and when."""


class Distribution:
    """Observed values, counted in buckets."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: list[_Seen | None] = [None] * (len(bounds) + 1)

    def observe(self, value: float, trace_id: int | None = None) -> None:
        """Count one value; `trace_id` becomes the bucket's exemplar, so it must belong to a trace that is kept."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[bucket] = (trace_id, value, time.time())

    @contextmanager
    def time(self) -> Iterator[None]:
        """Observe the seconds that the block takes, also when it fails."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - begun)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the samples as Prometheus reads them: buckets are cumulative there, and are not here."""
        bounds = (*map(str, self._bounds), "+Inf")
        cumulative = zip(bounds, accumulate(self._counts), self._exemplars, strict=True)
        buckets = [(bound, count, _exemplar(*seen)) if seen else (bound, count) for bound, count, seen in cumulative]
        family.add_metric(labels, buckets, self._sum)


class Histogram(Collector):
    """Shows distributions to Prometheus; `distributions` returns them by their label values."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        distributions: Callable[[], Iterable[tuple[Sequence[str], Distribution]]],
    ) -> None:
        self._about = (name, documentation)
        self._labels = labels
        self._distributions = distributions

    def describe(self) -> Iterable[Metric]:
        """Name the metric without its samples, so that the registry can refuse a second one of the name."""
        return [HistogramMetricFamily(*self._about, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """Return the samples."""
        family = HistogramMetricFamily(*self._about, labels=self._labels)
        for values, distribution in self._distributions():
            distribution.add_to(family, values)
        return [family]


def _exemplar(trace_id: int, value: float, at: float) -> Exemplar:
    return Exemplar({"trace_id": f"{trace_id:032x}"}, value, at)
