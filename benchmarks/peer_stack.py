"""What a template usually brings: one well-known library per concern, each with its documented set-up.

prometheus-fastapi-instrumentator for metrics, loguru with JSON lines for logs, asgi-correlation-id for request ids,
opentelemetry-instrumentation-fastapi for traces, and an access log in a BaseHTTPMiddleware, as their guides show it.
"""

import sys
import time
from collections.abc import Awaitable, Callable

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI, Request, Response
from loguru import logger
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_fastapi_instrumentator import Instrumentator


def dressed(collector: str, *, ratio: float) -> FastAPI:
    """Return the endpoint of the other stacks with all of it."""
    logger.remove()
    logger.add(sys.stdout, serialize=True)
    provider = TracerProvider(
        resource=Resource.create({"service.name": "bench"}), sampler=ParentBased(TraceIdRatioBased(ratio))
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector)))
    trace.set_tracer_provider(provider)
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/v1/things/{thing_id}")
    async def get_thing(thing_id: int) -> dict[str, int]:
        return {"id": thing_id}

    @app.middleware("http")
    async def log(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        begun = time.perf_counter()
        response = await call_next(request)
        context = trace.get_current_span().get_span_context()
        logger.bind(
            method=request.method,
            path=request.url.path,
            status=response.status_code,
            duration_ms=(time.perf_counter() - begun) * 1000,
            request_id=correlation_id.get(),
            trace_id=trace.format_trace_id(context.trace_id),
        ).info("request")
        return response

    app.add_middleware(CorrelationIdMiddleware)
    Instrumentator().instrument(app).expose(app)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return app
