"""RED metrics: rate, errors and duration of every route, for alerts and dashboards.

Use when: always; it is the first thing an alert on user-visible failure needs.
Not when: you want per-customer figures - that is analytics; as labels they would multiply the series without end.
Costs:    about 3 microseconds a request; 12 series per route, method and status.
Fails:    it cannot: numbers in memory, lost on restart, which `rate()` understands. They belong to one process and
          one event loop: scale by replicas, not by workers.
Copy:     this file, kit/asgi.py.
Origin:   the RED method (Wilkie, 2015); names from OpenTelemetry's semantic conventions; OpenMetrics 1.0.
"""

import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from itertools import accumulate

from opentelemetry import trace
from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi

_NAME = "http_server_request_duration_seconds"
# No whole numbers: `le="1"` and `le="1.0"` are two spellings that exporters do not agree on.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5)
_LE = (*map(str, BUCKETS), "+Inf")
_SAMPLED = trace.TraceFlags.SAMPLED
_LABELS = ("http_route", "http_request_method", "http_response_status_code")


class RequestDuration(Collector):
    """The histogram of request durations, on plain integers.

    prometheus_client's own histogram costs 5 times as much per observation, for locks and multi-process files that one
    event loop does not need.
    """

    def __init__(self, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._series: dict[tuple[str, str, int], _Series] = {}
        registry.register(self)

    def observe(self, *, route: str, method: str, status: int, seconds: float, trace_id: int | None = None) -> None:
        """Count one request; `trace_id` becomes the bucket's exemplar, so it must belong to a trace that is kept."""
        key = (route, method, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        bucket = bisect_left(BUCKETS, seconds)
        series.counts[bucket] += 1
        series.sum += seconds
        if trace_id is not None:
            series.exemplars[bucket] = (trace_id, seconds, time.time())

    def describe(self) -> Iterable[Metric]:
        """Name the metric without its samples, so that the registry can refuse a second one of the name."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the samples as Prometheus reads them: buckets are cumulative there, and are not here."""
        family = self._family()
        for (route, method, status), series in self._series.items():
            cumulative = zip(_LE, accumulate(series.counts), series.exemplars, strict=True)
            buckets = [(le, count, _exemplar(*seen)) if seen else (le, count) for le, count, seen in cumulative]
            family.add_metric([route, method, str(status)], buckets, series.sum)
        return [family]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(_NAME, "Duration of HTTP server requests.", labels=_LABELS)


class _Series:
    __slots__ = ("counts", "exemplars", "sum")

    def __init__(self) -> None:
        self.counts = [0] * len(_LE)
        self.sum = 0.0
        self.exemplars: list[tuple[int, float, float] | None] = [None] * len(_LE)


REQUEST_DURATION = RequestDuration()
BUILD_INFO = Gauge("build_info", "The build that is running.", ("service", "version", "env"))


class RedMetrics:
    """ASGI layer: observes each request under its route template, also when it fails."""

    def __init__(
        self, app: ASGIApp, *, route_of: Callable[[Scope], str], histogram: RequestDuration = REQUEST_DURATION
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
            span = trace.get_current_span().get_span_context()
            self._histogram.observe(
                route=self._route_of(scope),
                method=asgi.method(scope),
                status=exchange.status,
                seconds=exchange.seconds(),
                trace_id=span.trace_id if span.trace_flags & _SAMPLED else None,
            )


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
    BUILD_INFO.clear()
    BUILD_INFO.labels(service, version, env).set(1)


def _exemplar(trace_id: int, seconds: float, at: float) -> Exemplar:
    return Exemplar({"trace_id": trace.format_trace_id(trace_id)}, seconds, at)
