"""Outbound telemetry: every HTTP call to another service is counted, timed, and takes the trace along.

Use when: the service calls others, and "is it us or them" is asked when it is slow.
Not when: something else in the process instruments httpx already - calls would be counted twice.
Costs:    about 14 microseconds a call, about 45 where it becomes a span; 13 series per host, method and outcome.
Fails:    it cannot: numbers in memory. A host that was not named counts as `_OTHER`. Paths and queries are nowhere.
Copy:     this file, kit/context.py, kit/histogram.py, kit/instruments.py.
Origin:   OpenTelemetry's semantic conventions for HTTP clients; W3C Trace Context.
"""

import time
from collections.abc import Collection
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider

from app.kit import context
from app.kit.instruments import OTHER, histogram

URL_TEMPLATE = "url_template"
"""Key of a request's `extensions`: the path with its variables by name, such as `/orders/{order_id}`."""
_FIRST_ERROR = 400
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_DURATION = histogram(
    "http_client_request_duration_seconds",
    "Duration of HTTP calls to other services, the answer's body included.",
    {"server_address": 10, "http_request_method": _METHODS, "http_response_status_code": 30, "error_type": 40},
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5),
    limit=50,
)


class MeasuredClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` for the services on `known_hosts`; other hosts share a label.

    A client and not a transport: a transport does not see the body arrive, and a client that is given one no longer
    looks at the machine's proxy settings.
    """

    def __init__(self, *, known_hosts: Collection[str], provider: TracerProvider, **options: Any) -> None:  # noqa: ANN401 - any of httpx's own
        super().__init__(**options)
        self._known_hosts = frozenset(known_hosts)
        self._tracer = provider.get_tracer(__name__)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 - same
        """Send a request, as httpx does."""
        host = request.url.host if request.url.host in self._known_hosts else OTHER
        parent = trace.get_current_span()
        span = self._span(request) if parent.is_recording() else None
        # Passed on without a span of ours, too: what is not sampled here must not be sampled there.
        inject(request.headers, trace.set_span_in_context(span or parent))
        status = error_type = ""
        begun = time.perf_counter()
        try:
            response = await super().send(request, **options)
            status = str(response.status_code)
            error_type = status if response.status_code >= _FIRST_ERROR else ""
        except BaseException as exc:  # cancellation included
            error_type = type(exc).__name__
            raise
        else:
            return response
        finally:
            seconds = time.perf_counter() - begun
            REQUEST_DURATION.labels(host, request.method, status, error_type).observe(seconds)
            tally = context.current().tally
            tally.http_calls += 1
            tally.http_seconds += seconds
            if span is not None:
                _end(span, status, error_type)

    def _span(self, request: httpx.Request) -> Span:
        """Begin a span without path and query, which may hold what belongs to a person; the template holds nothing."""
        url, template = request.url, request.extensions.get(URL_TEMPLATE, "")
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
        if template:
            attributes["url.template"] = template
        name = f"{request.method} {template}".rstrip()
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def _end(span: Span, status: str, error_type: str) -> None:
    if status:
        span.set_attribute("http.response.status_code", int(status))
    if error_type:
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)
    span.end()
