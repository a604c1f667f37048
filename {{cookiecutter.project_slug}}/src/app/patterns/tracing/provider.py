"""The process's tracer provider: identity, sampling, and the way to the collector."""

import threading
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from pydantic import BaseModel, ConfigDict, Field

from .enrichment import Enrichment
from .export import BoundedExport
from .requests import PROPAGATOR, HandedDownIds


class TracingSettings(BaseModel):
    """How many traces to keep, and where to send them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: float = Field(0.1, ge=0, le=1, description="Share of new traces to keep; a caller's decision is followed.")
    otlp_endpoint: str | None = Field(
        None, description="Collector, such as http://collector:4318/v1/traces; without it no span is sent."
    )
    queue_size: int = Field(2048, ge=1, description="Finished spans that wait for export; more are dropped.")
    export_batch_size: int = Field(512, ge=1, description="Most spans per request to the collector.")
    export_delay_seconds: float = Field(5.0, gt=0, description="Longest wait before a batch is sent.")
    export_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for the collector, retries included.")


def configure(settings: TracingSettings, *, service: str, env: str, version: str) -> TracerProvider:
    """Set up OpenTelemetry for this process; call it once, before anything is instrumented."""
    set_global_textmap(PROPAGATOR)
    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": service,
                "service.version": version,
                "service.instance.id": str(uuid4()),
                "deployment.environment.name": env,
            }
        ),
        sampler=ParentBased(TraceIdRatioBased(settings.ratio)),
        id_generator=HandedDownIds(),
        shutdown_on_exit=False,  # the process calls `shut_down`, which does not wait for a dead collector
    )
    provider.add_span_processor(Enrichment())
    if settings.otlp_endpoint is not None:
        otlp = OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=settings.export_timeout_seconds)
        provider.add_span_processor(
            BoundedExport(
                otlp,
                queue_size=settings.queue_size,
                batch_size=settings.export_batch_size,
                delay_seconds=settings.export_delay_seconds,
            )
        )
    trace.set_tracer_provider(provider)
    return provider


def shut_down(provider: TracerProvider, *, timeout_seconds: float = 5.0) -> None:
    """Send what is left, and give up after `timeout_seconds`: a dead collector must not delay a deployment."""
    sending = threading.Thread(target=provider.shutdown, daemon=True)
    sending.start()
    sending.join(timeout_seconds)
