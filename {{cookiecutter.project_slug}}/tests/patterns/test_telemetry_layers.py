"""The observability layers in the order of the service: logs, metrics and traces of one request must agree."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from app.kit.asgi import RouteTemplates
from app.kit.problems import Problems
from app.patterns import tracing
from app.patterns.body_limit import BodyLimit
from app.patterns.health import Health, HealthProbes
from app.patterns.metrics import MetricsEndpoint, RedMetrics, request_duration
from app.patterns.request_id import RequestId
from app.patterns.structured_logging import AccessLog, LoggingSettings
from app.patterns.structured_logging.lines import Lines, install
from app.patterns.tracing import RequestSpans, TracingSettings
from dev.http_server import serving

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    """Where the lines of this test go."""
    stream = io.BytesIO()
    install(Lines(stream, LoggingSettings(), service="orders", env="test", version="1"))
    yield stream
    install(None)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """The spans of this test."""
    return InMemorySpanExporter()


@pytest.fixture
def service(
    log: io.BytesIO, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The whole stack behind a real socket, at the sampling ratio that the test is parametrised with."""
    assert log.getvalue() == b""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _provider: None)  # OpenTelemetry allows it once
    settings = TracingSettings(ratio=request.param)
    provider = tracing.configure(settings, service="orders", env="test", version="1")
    provider.add_span_processor(SimpleSpanProcessor(spans))
    registry, route_of, health = CollectorRegistry(), RouteTemplates(), Health()
    app = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(HealthProbes, health=health),
            Middleware(MetricsEndpoint, registry=registry),
            Middleware(RequestId),
            Middleware(RequestSpans, tracer_provider=provider, ratio=settings.ratio, route_of=route_of),
            Middleware(RedMetrics, route_of=route_of, histogram=request_duration(registry=registry)),
            Middleware(AccessLog, route_of=route_of),
            Middleware(Problems, statuses={}),
            Middleware(BodyLimit, max_bytes=100),
        ],
    )

    @app.get("/things/{thing_id}")
    async def get_thing(thing_id: int) -> dict[str, str]:
        carrier = {"thing": str(thing_id)}
        inject(carrier)
        return carrier

    with serving(app) as url:
        yield url


def request_lines(log: io.BytesIO) -> list[dict[str, Any]]:
    """Return the canonical lines."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "http.request"]


@pytest.mark.parametrize("service", [0, 1], indirect=True, ids=["not sampled", "sampled"])
def test_the_log_line_carries_the_trace_that_goes_out(service: str, log: io.BytesIO) -> None:
    """Sampled or not, the line's trace id is the one that downstream services see, and its request id the caller's."""
    response = httpx.get(f"{service}/things/7", headers={"x-request-id": "a" * 32})

    (line,) = request_lines(log)
    _, trace_id, span_id, _ = response.json()["traceparent"].split("-")
    assert (line["trace_id"], line["span_id"], line["request_id"]) == (trace_id, span_id, "a" * 32)


@pytest.mark.parametrize("service", [0.5], indirect=True)
def test_every_exemplar_leads_to_a_trace_that_was_kept(service: str, spans: InMemorySpanExporter) -> None:
    """At half the requests sampled, the exemplars in the scrape are among the exported traces."""
    with httpx.Client(base_url=service) as client:
        for number in range(40):
            client.get(f"/things/{number}")
        scrape = client.get("/metrics", headers=OPENMETRICS).text

    kept = {f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()}
    exemplars = set(re.findall(r'# \{trace_id="([0-9a-f]{32})"\}', scrape))
    assert exemplars
    assert exemplars <= kept
    assert 0 < len(kept) < 40


@pytest.mark.parametrize("service", [1], indirect=True)
def test_probes_and_scrapes_leave_no_trace_anywhere(service: str, log: io.BytesIO, spans: InMemorySpanExporter) -> None:
    """What the platform asks every second is neither logged, nor counted, nor traced."""
    for path in ("/livez", "/readyz", "/startupz", "/metrics"):
        httpx.get(service + path)
    scrape = httpx.get(f"{service}/metrics").text

    assert request_lines(log) == []
    assert "http_server_request_duration_seconds_count" not in scrape
    assert spans.get_finished_spans() == ()
