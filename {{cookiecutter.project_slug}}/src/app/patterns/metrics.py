"""RED metrics: rate, errors and duration of every route, for alerts and dashboards, and the state of the process.

Use when: always; it is the first thing an alert on user-visible failure needs.
Not when: you want per-customer figures - that is analytics; as labels they would multiply the series without end.
Costs:    about 2 microseconds a request, four wake-ups a second; 13 series per route, method and status.
Fails:    it cannot: numbers in memory, lost on restart, which `rate()` understands. They belong to one process and
          one event loop: scale by replicas, not by workers.
Copy:     this file, kit/asgi.py, kit/clock.py, kit/histogram.py, kit/instruments.py.
Origin:   the RED method (Wilkie, 2015); names from OpenTelemetry's semantic conventions; OpenMetrics 1.0.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi
from app.kit.clock import Clock
from app.kit.histogram import Distribution
from app.kit.instruments import Guarded, gauge, histogram

# Each threshold of a service level has to be a bound: 0.25, 0.5, 1.5.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5)
_LOOK_SECONDS = 0.25  # the event loop's stalls of this length or longer are always seen, shorter ones by chance


def request_duration(*, registry: CollectorRegistry = REGISTRY) -> Guarded[Distribution]:
    """Return the histogram of request durations, empty."""
    return histogram(
        "http_server_request_duration_seconds",
        "Duration of HTTP server requests.",
        {"http_route": 60, "http_request_method": asgi.METHODS, "http_response_status_code": 30},
        buckets=BUCKETS,
        limit=200,  # a route answers one or two methods with a handful of statuses
        registry=registry,
    )


REQUEST_DURATION = request_duration()
EVENT_LOOP_LAG = histogram(
    "event_loop_lag_seconds",
    "How late the event loop wakes a task.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5),
)
TASKS = gauge("asyncio_tasks", "Tasks that are not done.")
# An Info and no gauge: it has one set of labels, and replaces that as a whole.
BUILD_INFO = Info("build", "The build that is running.")


class RedMetrics:
    """ASGI layer: observes each request under its route template, also when it fails."""

    def __init__(
        self, app: ASGIApp, *, route_of: Callable[[Scope], str], histogram: Guarded[Distribution] = REQUEST_DURATION
    ) -> None:
        self._app = app
        self._histogram = histogram
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, receive, send = asgi.exchange(scope, receive, send)
        try:
            await self._app(scope, receive, send)
        finally:
            child = self._histogram.labels(self._route_of(scope), exchange.method, str(exchange.status))
            child.observe(time.perf_counter() - exchange.begun, exchange.trace_id)


class MetricsEndpoint:
    """ASGI layer: answers GET /metrics in the format that the scraper asks for; only OpenMetrics carries exemplars."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._app = app
        self._registry = registry

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"] == "/metrics" and scope["method"] == "GET":
            return self._expose(scope, receive, send)
        return self._app(scope, receive, send)

    async def _expose(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = (asgi.header(scope, b"accept") or b"").decode("latin-1")
        encode, content_type = choose_encoder(accept)
        await Response(encode(self._registry), headers={"Content-Type": content_type})(scope, receive, send)


def set_build_info(*, service: str, version: str, env: str) -> None:
    """Expose which build runs, as labels of a constant 1: joined to other metrics, it shows what a release changed."""
    BUILD_INFO.info({"service": service, "version": version, "env": env})


@asynccontextmanager
async def watched_event_loop(clock: Clock) -> AsyncIterator[None]:
    """Measure how late this event loop is until the block ends: all work in the process waits for what blocks it."""
    loop = asyncio.get_running_loop()
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
    watching = asyncio.create_task(_watch(clock), name="event-loop-watcher")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _watch(clock: Clock) -> None:
    while True:
        due = clock.monotonic() + _LOOK_SECONDS
        await clock.sleep(_LOOK_SECONDS)
        EVENT_LOOP_LAG.observe(max(0.0, clock.monotonic() - due))
