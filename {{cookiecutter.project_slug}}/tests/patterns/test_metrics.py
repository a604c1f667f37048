"""patterns/metrics.py: the RED histogram, from the request to what a scraper reads."""

import asyncio
import gc
from collections.abc import Mapping

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY, CollectorRegistry, parser
from prometheus_client.openmetrics import parser as openmetrics_parser
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi, problems
from app.kit.asgi import LayeredApp, RouteTemplates
from app.kit.clock import ManualClock
from app.kit.histogram import Distribution
from app.kit.instruments import DECLARED, OTHER, Guarded
from app.patterns import metrics
from app.patterns.metrics import BUCKETS, MetricsEndpoint, RedMetrics, request_duration

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of this test's own."""
    return CollectorRegistry()


@pytest.fixture
def histogram(registry: CollectorRegistry) -> Guarded[Distribution]:
    """The histogram, empty."""
    return request_duration(registry=registry)


@pytest.fixture
def app(registry: CollectorRegistry, histogram: Guarded[Distribution]) -> FastAPI:
    """A service whose one router is included under /v1 and /v2."""
    app = LayeredApp(
        middleware=[
            Middleware(MetricsEndpoint, registry=registry),
            Middleware(RedMetrics, route_of=RouteTemplates(), histogram=histogram),
            Middleware(problems.Problems, statuses={}),
        ]
    )
    router = APIRouter()

    @router.get("/things/{thing_id}")
    async def get_thing(thing_id: int) -> int:
        return thing_id

    @router.get("/bug")
    async def bug() -> None:
        raise RuntimeError("a bug")

    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    return app


async def request(
    app: ASGIApp, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send one request."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, headers=headers)


def counts(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Return how many requests were counted under each set of labels."""
    return {
        (
            sample.labels["http_route"],
            sample.labels["http_request_method"],
            sample.labels["http_response_status_code"],
        ): (sample.value)
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "http_server_request_duration_seconds_count"
    }


async def test_a_request_is_counted_under_its_template(app: FastAPI, registry: CollectorRegistry) -> None:
    """The label is the route's template, with the prefix under which it was included."""
    await request(app, "/v1/things/1")
    await request(app, "/v1/things/2")
    await request(app, "/v2/things/3")

    assert counts(registry) == {
        ("/v1/things/{thing_id}", "GET", "200"): 2,
        ("/v2/things/{thing_id}", "GET", "200"): 1,
    }


async def test_a_bug_is_counted_as_500(app: FastAPI, registry: CollectorRegistry) -> None:
    """Errors are what the E of RED is for."""
    await request(app, "/v1/bug")

    assert counts(registry) == {("/v1/bug", "GET", "500"): 1}


async def test_an_application_that_fails_without_an_answer_is_counted_as_500(
    histogram: Guarded[Distribution], registry: CollectorRegistry
) -> None:
    """With no layer inside that answers, the server does; the failure still counts."""

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a bug")

    transport = httpx.ASGITransport(RedMetrics(broken, route_of=lambda _: "/x", histogram=histogram))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError):
            await client.get("/x")

    assert counts(registry) == {("/x", "GET", "500"): 1}


async def test_unknown_paths_and_methods_make_no_labels(app: FastAPI, registry: CollectorRegistry) -> None:
    """A scanner that tries a thousand addresses and methods leaves two series, and gives the guard nothing to do."""
    overflow = {"metric": "http_server_request_duration_seconds", "label": "http_request_method"}
    before = REGISTRY.get_sample_value("metric_label_overflow_total", overflow)

    for number in range(20):
        await request(app, f"/admin/{number}.php")
        await request(app, f"/{number}", method=f"SCAN{number}")

    assert counts(registry) == {("unmatched", "GET", "404"): 20, ("unmatched", "_OTHER", "404"): 20}
    assert REGISTRY.get_sample_value("metric_label_overflow_total", overflow) == before


async def test_whatever_is_observed_the_histogram_stays_under_its_limit(
    histogram: Guarded[Distribution], registry: CollectorRegistry
) -> None:
    """Even if routes, methods and statuses were the client's to choose, series would not grow past the declaration."""
    for number in range(10_000):
        histogram.labels(f"/{number % 997}", f"METHOD{number}", str(number % 503)).observe(0.1)

    declared = DECLARED["http_server_request_duration_seconds"]
    assert len(counts(registry)) <= declared.label_sets == 200
    assert {method for _route, method, _status in counts(registry)} == {OTHER}


async def test_a_refusal_of_a_known_path_keeps_its_template(app: FastAPI, registry: CollectorRegistry) -> None:
    """422 and 405 belong to the route that refused."""
    await request(app, "/v1/things/seven")
    await request(app, "/v1/things/7", method="DELETE")

    assert counts(registry) == {
        ("/v1/things/{thing_id}", "GET", "422"): 1,
        ("/v1/things/{thing_id}", "DELETE", "405"): 1,
    }


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (5.5, "5.5"), (60.0, "+Inf")]
)
def test_a_duration_falls_into_its_bucket(
    histogram: Guarded[Distribution], registry: CollectorRegistry, seconds: float, bucket: str
) -> None:
    """Bounds include their value; buckets are cumulative; count and sum agree with them."""
    histogram.labels("/x", "GET", "200").observe(seconds)

    (family,) = registry.collect()
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    filled = list(buckets)[list(buckets).index(bucket) :]
    assert [le for le, value in buckets.items() if value == 1] == filled
    assert [sample.value for sample in family.samples if sample.name.endswith("_sum")] == [seconds]
    assert len(buckets) == len(BUCKETS) + 1


async def test_a_scraper_reads_the_format_it_asked_for(app: FastAPI) -> None:
    """Old scrapers get the text format, new ones OpenMetrics; both parsers accept what they get."""
    await request(app, "/v1/things/1")

    text = await request(app, "/metrics")
    openmetrics = await request(app, "/metrics", headers=OPENMETRICS)

    assert text.headers["content-type"].startswith("text/plain")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert any(
        family.name == "http_server_request_duration_seconds"
        for family in parser.text_string_to_metric_families(text.text)
    )
    families = openmetrics_parser.text_string_to_metric_families(openmetrics.text)  # type: ignore[no-untyped-call] # has none
    assert [family.type for family in families] == ["histogram"]


async def test_scrapes_are_not_counted(app: FastAPI, registry: CollectorRegistry) -> None:
    """Looking at the figures does not change them."""
    await request(app, "/metrics")

    assert counts(registry) == {}


@pytest.mark.parametrize(("trace_id", "exemplars"), [(TRACE_ID, 1), (None, 0)], ids=["kept", "not kept"])
async def test_only_traces_that_are_kept_become_exemplars(app: FastAPI, trace_id: int | None, exemplars: int) -> None:
    """An exemplar leads to a trace that was kept; one of a dropped trace would lead nowhere."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        exchange, receive, send = asgi.exchange(scope, receive, send)
        exchange.trace_id = trace_id
        await app(scope, receive, send)

    await request(traced, "/v1/things/1")

    scrape = (await request(app, "/metrics", headers=OPENMETRICS)).text
    assert scrape.count(f'# {{trace_id="{TRACE_ID:032x}"}}') == exemplars
    assert scrape.count("# {") == exemplars


def test_build_info_shows_the_build_that_runs() -> None:
    """The latest identity wins; there is one series."""
    metrics.set_build_info(service="orders", version="1", env="test")
    metrics.set_build_info(service="orders", version="2", env="test")

    (family,) = metrics.BUILD_INFO.collect()
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"service": "orders", "version": "2", "env": "test"}, 1)
    ]


class LateClock(ManualClock):
    """A clock whose sleeper is woken late, twice; then it sleeps for ever."""

    def __init__(self, *late_seconds: float) -> None:
        super().__init__()
        self._late_seconds = list(late_seconds)
        self.done = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if not self._late_seconds:
            self.done.set()
            await asyncio.Event().wait()
        await super().sleep(seconds + self._late_seconds.pop(0))


async def test_the_event_loops_delay_is_measured() -> None:
    """What the watcher observes is how much later than asked it is woken."""
    before = lag()
    clock = LateClock(0.3, 0.0)

    async with metrics.watched_event_loop(clock):
        await clock.done.wait()

    after = {name: value - before[name] for name, value in lag().items()}
    assert (after["0.25"], after["0.5"], after["+Inf"]) == (1, 2, 2)
    assert after["sum"] == pytest.approx(0.3)


async def test_the_watcher_ends_with_its_block() -> None:
    """Nothing of it is left, and the tasks that are left are counted at each scrape."""
    before = asyncio.all_tasks()

    async with metrics.watched_event_loop(ManualClock()):
        inside = REGISTRY.get_sample_value("asyncio_tasks")

    assert inside == len(before) + 1
    assert asyncio.all_tasks() == before
    assert REGISTRY.get_sample_value("asyncio_tasks") == len(before)


def test_the_process_shows_itself() -> None:
    """CPU, memory, open files, garbage collections and the interpreter: from prometheus_client, and switched on."""
    gc.collect()

    values = {
        name: REGISTRY.get_sample_value(name)
        for name in (
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        )
    }
    assert [name for name, value in values.items() if not value] == []
    assert REGISTRY.get_sample_value("python_gc_collections_total", {"generation": "2"})


def lag() -> dict[str, float]:
    """Return the buckets and the sum of the event loop's delays."""
    (family,) = [family for family in REGISTRY.collect() if family.name == "event_loop_lag_seconds"]
    return {sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value for sample in family.samples}
