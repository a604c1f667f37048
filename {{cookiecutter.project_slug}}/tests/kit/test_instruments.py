"""kit/instruments.py: labels are declared, and nothing that turns up at run time makes more series than that."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.samples import Sample

from app.kit.instruments import ALL, DECLARED, OTHER, Guarded, counter, gauge, histogram

STATES = ("placed", "refused")


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """A registry of this test's own; what the test declares is forgotten."""
    before = dict(DECLARED)
    yield CollectorRegistry()
    DECLARED.clear()
    DECLARED.update(before)


@pytest.fixture
def orders(registry: CollectorRegistry) -> Guarded[Counter]:
    """A counter with a label whose values are known, and one of which there are at most three."""
    return counter("test_orders_total", "Orders.", {"state": STATES, "country": 3}, registry=registry)


def samples(registry: CollectorRegistry) -> list[Sample]:
    """Return what a scraper would read, without the time at which a counter was made."""
    exposed = [sample for family in registry.collect() for sample in family.samples]
    return [sample for sample in exposed if not sample.name.endswith("_created")]


def counted(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return the values by their labels' values."""
    return {tuple(sample.labels.values()): sample.value for sample in samples(registry)}


def overflows(metric: str, label: str) -> float:
    """Return how often a label's value was replaced, since the process started."""
    return REGISTRY.get_sample_value("metric_label_overflow_total", {"metric": metric, "label": label}) or 0


def test_a_series_counts_under_its_labels(orders: Guarded[Counter], registry: CollectorRegistry) -> None:
    """By position or by name, and for a member of an enumeration as for its text, it is one and the same series."""
    orders.labels("placed", "de").inc()
    orders.labels(country="de", state="placed").inc(2)

    assert counted(registry) == {("placed", "de"): 3}


def test_a_value_outside_the_known_ones_becomes_other(orders: Guarded[Counter], registry: CollectorRegistry) -> None:
    """It is counted all the same, and so is that it was replaced."""
    before = overflows("test_orders_total", "state")

    orders.labels("<script>", "de").inc()
    orders.labels("another", "de").inc()

    assert counted(registry) == {(OTHER, "de"): 2}
    assert overflows("test_orders_total", "state") == before + 2


def test_values_beyond_the_cap_become_other(orders: Guarded[Counter], registry: CollectorRegistry) -> None:
    """The first three keep their names for good; however many follow share one series."""
    before = overflows("test_orders_total", "country")

    for number in range(1000):
        orders.labels("placed", f"country-{number}").inc()
    orders.labels("placed", "country-1").inc()

    names = ["country-0", "country-1", "country-2", OTHER]
    assert list(counted(registry)) == [("placed", name) for name in names]
    assert list(counted(registry).values()) == [1, 2, 1, 997]
    assert overflows("test_orders_total", "country") == before + 997


def test_other_may_be_said_outright(orders: Guarded[Counter], registry: CollectorRegistry) -> None:
    """Whoever has sorted out the unknown already causes no overflow, and takes no place."""
    before = overflows("test_orders_total", "state"), overflows("test_orders_total", "country")

    for country in (OTHER, "de", "fr", "it"):
        orders.labels(OTHER, country).inc()

    assert list(counted(registry)) == [(OTHER, country) for country in (OTHER, "de", "fr", "it")]
    assert (overflows("test_orders_total", "state"), overflows("test_orders_total", "country")) == before


def test_combinations_have_a_limit_of_their_own(registry: CollectorRegistry) -> None:
    """Labels that are each within their cap cannot multiply past the limit; what finds no place is counted together."""
    pairs = counter("test_pairs_total", "Pairs.", {"a": 20, "b": 20}, limit=10, registry=registry)
    before = overflows("test_pairs_total", ALL)

    for a in range(20):
        for b in range(20):
            pairs.labels(str(a), str(b)).inc()

    assert len(counted(registry)) == 10
    assert counted(registry)[OTHER, OTHER] == 391
    assert overflows("test_pairs_total", ALL) == before + 391


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("placed",), {}),
        (("placed", "de", "x"), {}),
        ((), {"state": "placed"}),
        ((), {"state": "placed", "country": "de", "tenant": "acme"}),
        ((), {"state": "placed", "tenant": "acme"}),
        (("placed", "de"), {"tenant": "acme"}),
    ],
    ids=["one missing", "one too many", "one missing by name", "undeclared", "undeclared instead", "undeclared beside"],
)
@pytest.mark.parametrize("warm", [False, True], ids=["first use", "later use"])
def test_an_undeclared_label_is_refused(
    orders: Guarded[Counter], values: tuple[str, ...], named: dict[str, str], *, warm: bool
) -> None:
    """A label that was not declared is a mistake in the code, and its first test run says so."""
    if warm:
        orders.labels("placed", "de")

    with pytest.raises(ValueError, match="test_orders_total has the labels"):
        orders.labels(*values, **named)


def test_a_counter_of_known_values_starts_at_zero(registry: CollectorRegistry) -> None:
    """All its series exist before the first event, which rate() would otherwise miss."""
    counter("test_known_total", "Known.", {"state": STATES, "paid": ("yes", "no")}, registry=registry)

    assert counted(registry) == {(state, paid): 0 for state in STATES for paid in ("yes", "no")}
    assert overflows("test_known_total", "state") == 0


def test_a_gauge_and_a_histogram_are_guarded_too(registry: CollectorRegistry) -> None:
    """The same rules for all three kinds."""
    rooms = gauge("test_rooms", "Rooms.", {"floor": ("1", "2")}, registry=registry)
    waits = histogram("test_wait_seconds", "Waits.", {"floor": ("1", "2")}, buckets=(0.5, 1.5), registry=registry)

    rooms.labels("7").set(3)
    waits.labels("7").observe(1.0)

    assert {sample.labels["floor"] for sample in samples(registry)} == {OTHER}
    assert [sample.value for sample in samples(registry)] == [3, 0, 1, 1, 1, 1.0]


def test_instruments_without_labels_are_used_directly(registry: CollectorRegistry) -> None:
    """There is nothing to choose, so there is no `labels`."""
    counter("test_plain_total", "Plain.", registry=registry).inc()
    gauge("test_level", "Plain.", registry=registry).set(2)
    with histogram("test_plain_seconds", "Plain.", buckets=(30.5,), registry=registry).time():
        pass

    values = {sample.name: sample.value for sample in samples(registry) if sample.labels.get("le") != "30.5"}
    assert (values["test_plain_total"], values["test_level"], values["test_plain_seconds_count"]) == (1, 2, 1)
    assert 0 < values["test_plain_seconds_sum"] < 30.5


def test_a_declaration_says_how_far_a_metric_may_grow(registry: CollectorRegistry) -> None:
    """The figure is reached and not passed, the counters of overflows included."""
    histogram("test_grow_seconds", "Grows.", {"a": 2, "b": ("x",)}, buckets=(0.5,), registry=registry)
    counter("test_grow_total", "Grows.", {"a": 20, "b": 20}, limit=10, registry=registry)

    assert DECLARED["test_grow_seconds"].label_sets == 3 * 2
    assert DECLARED["test_grow_seconds"].series == 6 * (2 + 2) + 3
    assert DECLARED["test_grow_total"].series == 10 + 3


@pytest.mark.parametrize("buckets", [(0.5, 1), (0.5, 2.0), (1.5, 0.5), (0.5, 0.5)])
def test_bounds_that_scrapers_would_confuse_are_refused(buckets: tuple[float, ...]) -> None:
    """Bounds rise, and none is a whole number."""
    with pytest.raises(ValueError, match="bounds must rise"):
        histogram("test_bad_seconds", "Bad.", buckets=buckets)


def test_more_known_values_than_room_are_refused(registry: CollectorRegistry) -> None:
    """A declaration that overflows by itself is a mistake in the code."""
    with pytest.raises(ValueError, match="12 sets of known label values, and room for 11"):
        counter("test_large_total", "Large.", {"a": "abcd", "b": "xyz"}, limit=12, registry=registry)
