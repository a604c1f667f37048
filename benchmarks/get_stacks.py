"""The stacks that are compared on a trivial GET: each layer alone, all of them, and what others make of it."""

from collections.abc import Callable, Sequence
from functools import partial

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from app.kit.asgi import LayeredApp, RouteTemplates
from app.kit.problems import Problems
from app.patterns import structured_logging, tracing
from app.patterns.body_limit import BodyLimit
from app.patterns.health import Health, HealthProbes
from app.patterns.metrics import MetricsEndpoint, RedMetrics
from app.patterns.request_id import RequestId
from app.patterns.structured_logging import AccessLog, LoggingSettings
from app.patterns.tracing import RequestSpans, TracingSettings

IDENTITY = {"service": "bench", "env": "production", "version": "0"}
LAYERS = ("probes", "request id", "spans", "metrics", "access log", "problems", "body limit")
_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def bare(_collector: str) -> FastAPI:
    """Return an application as FastAPI makes it, its own telemetry included, which finds no provider to report to."""
    return with_route(FastAPI())


def layers(names: Sequence[str], ratio: float, collector: str) -> list[Middleware]:
    """Return these layers, in the order of the service."""
    structured_logging.configure(LoggingSettings(), **IDENTITY)
    route_of = RouteTemplates()
    known: dict[str, list[Middleware]] = {
        "probes": [Middleware(HealthProbes, health=Health()), Middleware(MetricsEndpoint)],
        "request id": [Middleware(RequestId)],
        "metrics": [Middleware(RedMetrics, route_of=route_of)],
        "access log": [Middleware(AccessLog, route_of=route_of)],
        "problems": [Middleware(Problems, statuses={})],
        "body limit": [Middleware(BodyLimit, max_bytes=1_048_576)],
    }
    if "spans" in names:
        provider = tracing.configure(TracingSettings(ratio=ratio, otlp_endpoint=collector), **IDENTITY)
        known["spans"] = [Middleware(RequestSpans, tracer_provider=provider, ratio=ratio, route_of=route_of)]
    return [layer for name in LAYERS if name in names for layer in known[name]]


def layered(names: Sequence[str], ratio: float, collector: str) -> FastAPI:
    """Return an application with some of the layers, or with no telemetry at all: FastAPI's own is off."""
    return with_route(FastAPI(middleware=layers(names, ratio, collector), telemetry=_OFF))


def whole(ratio: float, collector: str) -> FastAPI:
    """Return an application with all layers, put together as the service is."""
    return with_route(LayeredApp(middleware=layers(LAYERS, ratio, collector), telemetry=_OFF))


def with_route(app: FastAPI) -> FastAPI:
    """Add the route that does nothing, and return the application."""

    @app.get("/v1/things/{thing_id}")
    async def get_thing(thing_id: int) -> dict[str, int]:
        return {"id": thing_id}

    return app


def peer(collector: str) -> FastAPI:
    """Return the same endpoint as well-known templates dress it: instrumentator, loguru, OpenTelemetry's contrib."""
    import peer_stack  # noqa: PLC0415 - its packages are there only for this row

    return peer_stack.dressed(collector, ratio=0.1)


STACKS: dict[str, Callable[[str], FastAPI]] = {
    "bare FastAPI": bare,
    "FastAPI, its telemetry off": partial(layered, (), 0),
    "request id": partial(layered, ("request id",), 0),
    "spans, 0 % sampled": partial(layered, ("spans",), 0),
    "metrics": partial(layered, ("metrics",), 0),
    "access log": partial(layered, ("access log",), 0),
    "probes, problems, body limit": partial(layered, ("probes", "problems", "body limit"), 0),
    "all, 0 % sampled": partial(whole, 0),
    "all, 1 % sampled": partial(whole, 0.01),
    "all, 10 % sampled": partial(whole, 0.1),
    "all, 100 % sampled": partial(whole, 1),
    "usual libraries, 10 % sampled": peer,
}
TARGETS = {"all, 1 % sampled": 1.30, "all, 10 % sampled": 1.45, "all, 100 % sampled": 2.60}
