"""Tracing: one trace id from the first byte of a request to the last consumer of its events.

Use when: a request crosses process borders, or "where did the time go" is asked.
Not when: counts and durations are all you need - metrics cost a twentieth of it.
Costs:    about 6 microseconds for a request that is not sampled, as much as the request itself for one that is.
Fails:    collector down -> spans wait in a bounded queue, then some are dropped with a warning; requests never wait.
          A caller decides sampling by its `traceparent`: strip the header at the edge if callers are strangers.
Copy:     this file, kit/asgi.py. Needs FastAPI >= 0.165, whose own instrumentation it steers.
Origin:   Dapper (Sigelman and others, 2010); W3C Trace Context; OpenTelemetry.
"""

import os
import threading
from collections.abc import Collection
from contextvars import ContextVar
from uuid import uuid4

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app.kit.asgi import header

QUIET_PATHS = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})
_SEMCONV_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
_PROPAGATOR = TraceContextTextMapPropagator()  # W3C only: baggage from strangers must not travel through this service
_decided: ContextVar[int | None] = ContextVar("decided", default=None)


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
    # The contrib packages still speak the names of 2021 (`http.method`) unless told so before their first use.
    opted_in = set(filter(None, os.environ.get(_SEMCONV_OPT_IN, "").split(",")))
    os.environ[_SEMCONV_OPT_IN] = ",".join(sorted(opted_in | {"http"}))
    set_global_textmap(_PROPAGATOR)
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
        id_generator=_HandedDownIds(),
        shutdown_on_exit=False,  # the process calls `shut_down`, which does not wait for a dead collector
    )
    if settings.otlp_endpoint is not None:
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=settings.export_timeout_seconds)
        processor = BatchSpanProcessor(
            exporter,
            max_queue_size=settings.queue_size,
            max_export_batch_size=min(settings.export_batch_size, settings.queue_size),
            schedule_delay_millis=settings.export_delay_seconds * 1000,
        )
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def shut_down(provider: TracerProvider, *, timeout_seconds: float = 5.0) -> None:
    """Send what is left, and give up after `timeout_seconds`: a dead collector must not delay a deployment."""
    sending = threading.Thread(target=provider.shutdown, daemon=True)
    sending.start()
    sending.join(timeout_seconds)


def telemetry(provider: TracerProvider) -> TelemetryConfig:
    """Return what `FastAPI(telemetry=...)` needs: its own instrumentation, one span per request and nothing else."""
    return {
        "tracer_provider": provider,
        "operation_spans": False,  # four spans a request for what the log line and one span tell already
        "metrics": False,  # patterns/metrics.py has them, with bounded labels
        "logs": False,
        "auto_configure": False,
    }


class HeadSampling:
    """ASGI application around FastAPI: decides on sampling as the SDK would, before anything is spent on the request.

    FastAPI's instrumentation costs a tenth of a request even when it records nothing. What is not sampled goes past it
    and runs in a valid span that records nothing: log lines carry its trace id, child spans follow the decision and
    outbound calls pass it on.
    """

    def __init__(self, app: FastAPI, settings: TracingSettings, *, quiet_paths: Collection[str] = QUIET_PATHS) -> None:
        self.app = app
        self._bound = TraceIdRatioBased.get_bound_for_rate(settings.ratio)
        self._quiet_paths = quiet_paths
        self._ids = RandomIdGenerator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] in self._quiet_paths:
            await self._untraced(scope, receive, send)
            return
        unsampled = self._decide(scope)
        if unsampled is None:
            await self.app(scope, receive, send)
            return
        token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(unsampled)))
        try:
            await self._untraced(scope, receive, send)
        finally:
            otel_context.detach(token)

    def _decide(self, scope: Scope) -> SpanContext | None:
        """Return the span of a request that is not sampled, or None for one that is."""
        parent = _parent(scope)
        if parent is not None:
            if parent.trace_flags.sampled:
                return None  # the instrumentation reads the same header
            trace_id, state = parent.trace_id, parent.trace_state
            flags = TraceFlags(parent.trace_flags & _RANDOM)
        else:
            trace_id = self._ids.generate_trace_id()
            if trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound:
                _decided.set(trace_id)
                return None
            flags, state = _RANDOM, None
        return SpanContext(
            trace_id, self._ids.generate_span_id(), is_remote=False, trace_flags=flags, trace_state=state
        )

    async def _untraced(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The entry that FastAPI inherits: all layers and routes, without the instrumentation that it adds on top.
        await Starlette.__call__(self.app, scope, receive, send)


_RANDOM = TraceFlags(TraceFlags.RANDOM_TRACE_ID)  # W3C level 2: says that the low 56 bits may be used for sampling


class _HandedDownIds(RandomIdGenerator):
    """Gives the SDK the trace id on which `HeadSampling` decided: sampled by one id, it must not run under another."""

    def generate_trace_id(self) -> int:
        trace_id = _decided.get()
        if trace_id is None:
            return super().generate_trace_id()
        _decided.set(None)  # for one root span: a second trace of the same request gets an id of its own
        return trace_id


def _parent(scope: Scope) -> SpanContext | None:
    """Return the caller's span, read by the SDK's own parser; None when there is none or its header is malformed."""
    traceparent = header(scope, b"traceparent")
    if traceparent is None:
        return None
    states = [value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate"]
    carrier = {"traceparent": [traceparent.decode("latin-1")], "tracestate": states}
    span = trace.get_current_span(_PROPAGATOR.extract(carrier, otel_context.Context())).get_span_context()
    return span if span.is_valid else None
