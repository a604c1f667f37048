"""The stacks that are compared, each one layer more than the one before, on the same trivial endpoint."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from app.kit import problems
from app.kit.asgi import RouteTemplates
from app.patterns import structured_logging, tracing
from app.patterns.body_limit import BodyLimit
from app.patterns.health import Health, HealthProbes
from app.patterns.metrics import MetricsEndpoint, RedMetrics
from app.patterns.request_id import RequestId
from app.patterns.structured_logging import AccessLog, LoggingSettings
from app.patterns.tracing import RequestSpans, TracingSettings

IDENTITY = {"service": "bench", "env": "production", "version": "0"}


_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def _app(layers: list[Middleware]) -> FastAPI:
    app = FastAPI(middleware=layers, telemetry=_OFF)

    @app.get("/v1/things/{thing_id}")
    async def get_thing(thing_id: int) -> dict[str, int]:
        return {"id": thing_id}

    return app


def _partial(count: int, _endpoint: str) -> FastAPI:
    structured_logging.configure(LoggingSettings(), **IDENTITY)
    route_of = RouteTemplates()
    layers = [
        Middleware(RequestId),
        Middleware(RedMetrics, route_of=route_of),
        Middleware(AccessLog, route_of=route_of),
    ]
    return _app(layers[:count])


def _full(ratio: float, endpoint: str) -> FastAPI:
    structured_logging.configure(LoggingSettings(), **IDENTITY)
    settings = TracingSettings(ratio=ratio, otlp_endpoint=endpoint)
    provider = tracing.configure(settings, **IDENTITY)
    route_of = RouteTemplates()
    app = _app(
        [
            Middleware(HealthProbes, health=Health()),
            Middleware(MetricsEndpoint),
            Middleware(RequestId),
            Middleware(RequestSpans, tracer_provider=provider, ratio=ratio, route_of=route_of),
            Middleware(RedMetrics, route_of=route_of),
            Middleware(AccessLog, route_of=route_of),
            Middleware(problems.Problems, statuses={}),
            Middleware(BodyLimit, max_bytes=1_048_576),
        ]
    )
    problems.install(app, statuses={})
    return app


STACKS: dict[str, Callable[[str], ASGIApp]] = {
    "bare FastAPI": partial(_partial, 0),
    "+ request id": partial(_partial, 1),
    "+ metrics": partial(_partial, 2),
    "+ access log": partial(_partial, 3),
    "full, 0 % sampled": partial(_full, 0.0),
    "full, 1 % sampled": partial(_full, 0.01),
    "full, 10 % sampled": partial(_full, 0.1),
    "full, 100 % sampled": partial(_full, 1.0),
}
"""Name of a row -> what builds its application, given the collector's address."""
