"""Prometheus instruments with declared labels: no label beside them, and never more series than they allow.

    PARCELS_SENT = counter("parcels_sent_total", "Parcels.", {"carrier": ("dhl", "ups"), "depot": 20})
    PARCELS_SENT.labels("dhl", "north").inc()

A label is declared with all its values, or with the number of different ones it may take. Any other value becomes
`OTHER` and is counted in `metric_label_overflow_total`: what turns up at run time, hostile or not, neither raises nor
makes the process grow. A label that was not declared is a mistake in the code, and raises.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from math import prod
from threading import Lock
from typing import Generic, NamedTuple, TypeVar, overload

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from app.kit.histogram import Distribution, Histogram

Labels = Mapping[str, Collection[str] | int]
"""By label: all its values, or how many different ones at most."""

OTHER = "_OTHER"
"""What the semantic conventions of OpenTelemetry call a value outside the known ones."""
ALL = "_all"
"""In `metric_label_overflow_total`: no label ran over, their combinations did."""
_LIMIT = 100
_OVERFLOWS = Counter(
    "metric_label_overflow_total", f"Times that a label's value was replaced by {OTHER}.", ["metric", "label"]
)
_Instrument = TypeVar("_Instrument")


class Declaration(NamedTuple):
    """How far a metric may grow."""

    kind: str
    labels: Labels
    label_sets: int
    """The most combinations of label values, `OTHER` included."""
    series: int
    """The most time series: one per label set or bucket of it, and one per label that counts its overflows."""
    bounds: tuple[float, ...] = ()
    """Of a histogram, the upper bounds of its buckets."""


DECLARED: dict[str, Declaration] = {}
"""Every metric that was made here, by name: docs/metrics.md is checked against it."""


class Guarded(Generic[_Instrument]):
    """One instrument per set of label values, within what was declared."""

    def __init__(self, name: str, labels: Labels, limit: int, new: Callable[[tuple[str, ...]], _Instrument]) -> None:
        self._name = name
        self._labels = tuple(labels)
        self._known = [{OTHER} if isinstance(values, int) else {OTHER, *values} for values in labels.values()]
        self._most = [_most(values) for values in labels.values()]
        self._limit = limit
        self._new = new
        self._children: dict[tuple[str, ...], _Instrument] = {}
        self._lock = Lock()
        self._overflows = [_OVERFLOWS.labels(name, label) for label in (*labels, ALL)]

    def labels(self, *values: str, **named: str) -> _Instrument:
        """Return the instrument of these values, given in the order of the declaration or by name.

        Raises:
            ValueError: a label is missing, or was not declared.
        """
        child = self._children.get(values)
        return self._admit(values, named) if child is None or named else child

    def children(self) -> Sequence[tuple[tuple[str, ...], _Instrument]]:
        """Return what there is so far."""
        return list(self._children.items())

    def _admit(self, values: Sequence[str], named: Mapping[str, str]) -> _Instrument:
        if named and not values and named.keys() == set(self._labels):
            values = [named[label] for label in self._labels]
        elif named or len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}, not {(*values, *named)}")
        with self._lock:
            key = tuple(map(self._known_or_other, range(len(values)), values))
            if key not in self._children and len(self._children) >= self._limit - 1:
                self._overflows[-1].inc()
                key = (OTHER,) * len(key)  # has the last place
            if key not in self._children:
                self._children[key] = self._new(key)
            return self._children[key]

    def _known_or_other(self, position: int, given: str) -> str:
        value, known = str(given), self._known[position]
        if value not in known and len(known) < self._most[position]:
            known.add(value)
        if value in known:
            return value
        self._overflows[position].inc()
        return OTHER


@overload
def counter(name: str, documentation: str, *, registry: CollectorRegistry = ...) -> Counter: ...
@overload
def counter(
    name: str, documentation: str, labels: Labels, *, limit: int = ..., registry: CollectorRegistry = ...
) -> Guarded[Counter]: ...
def counter(
    name: str,
    documentation: str,
    labels: Labels | None = None,
    *,
    limit: int = _LIMIT,
    registry: CollectorRegistry = REGISTRY,
) -> Counter | Guarded[Counter]:
    """Return a counter. Where all values of its labels are known, all its series exist from the start.

    A series that appears with its first event hides that event from rate().
    """
    declare(name, "counter", labels, limit=limit)
    parent = Counter(name, documentation, tuple(labels or ()), registry=registry)
    if labels is None:
        return parent
    guarded = Guarded(name, labels, limit, lambda values: parent.labels(*values))
    known = [values for values in labels.values() if not isinstance(values, int)]
    if len(known) == len(labels):
        for values in product(*known):
            guarded.labels(*values)
    return guarded


@overload
def gauge(name: str, documentation: str, *, registry: CollectorRegistry = ...) -> Gauge: ...
@overload
def gauge(
    name: str, documentation: str, labels: Labels, *, limit: int = ..., registry: CollectorRegistry = ...
) -> Guarded[Gauge]: ...
def gauge(
    name: str,
    documentation: str,
    labels: Labels | None = None,
    *,
    limit: int = _LIMIT,
    registry: CollectorRegistry = REGISTRY,
) -> Gauge | Guarded[Gauge]:
    """Return a gauge; what is given to its `set_function` is asked at each scrape."""
    declare(name, "gauge", labels, limit=limit)
    parent = Gauge(name, documentation, tuple(labels or ()), registry=registry)
    return parent if labels is None else Guarded(name, labels, limit, lambda values: parent.labels(*values))


@overload
def histogram(
    name: str, documentation: str, *, buckets: Sequence[float], registry: CollectorRegistry = ...
) -> Distribution: ...
@overload
def histogram(
    name: str,
    documentation: str,
    labels: Labels,
    *,
    buckets: Sequence[float],
    limit: int = ...,
    registry: CollectorRegistry = ...,
) -> Guarded[Distribution]: ...
def histogram(
    name: str,
    documentation: str,
    labels: Labels | None = None,
    *,
    buckets: Sequence[float],
    limit: int = _LIMIT,
    registry: CollectorRegistry = REGISTRY,
) -> Distribution | Guarded[Distribution]:
    """Return a histogram with these upper bounds; `+Inf` is added."""
    if sorted(set(buckets)) != list(buckets) or any(float(bound).is_integer() for bound in buckets):
        # `le="1"` and `le="1.0"` are two spellings of one bound, and exporters do not agree on either.
        raise ValueError(f"{name}: bounds must rise, and none may be a whole number")
    declare(name, "histogram", labels, limit=limit, bounds=buckets)
    if labels is None:
        alone = Distribution(buckets)
        registry.register(Histogram(name, documentation, (), lambda: [((), alone)]))
        return alone
    guarded = Guarded(name, labels, limit, lambda _values: Distribution(buckets))
    registry.register(Histogram(name, documentation, tuple(labels), guarded.children))
    return guarded


def declare(name: str, kind: str, labels: Labels | None, *, limit: int = _LIMIT, bounds: Sequence[float] = ()) -> str:
    """Note how far a metric may grow, and return its name: for collectors that keep to such bounds by themselves."""
    each = len(bounds) + 3 if bounds else 1  # +Inf, sum, count
    if labels is None:
        DECLARED[name] = Declaration(kind, {}, 1, each, tuple(bounds))
        return name
    known = prod(1 if isinstance(values, int) else len(values) for values in labels.values())
    if known >= limit:
        raise ValueError(f"{name}: {known} sets of known label values, and room for {limit - 1}")
    label_sets = min(limit, prod(map(_most, labels.values())))
    DECLARED[name] = Declaration(kind, labels, label_sets, label_sets * each + len(labels) + 1, tuple(bounds))
    return name


def _most(values: Collection[str] | int) -> int:
    return 1 + (values if isinstance(values, int) else len(set(values)))
