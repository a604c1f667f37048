"""One server span per request, and the decision whether to make it, taken before anything is spent on it."""

import random
from collections.abc import Callable
from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi
from app.kit.redaction import attributes_of
from app.kit.spans import context_of

from .enrichment import of_current_work

PROPAGATOR = TraceContextTextMapPropagator()  # W3C only: baggage from strangers must not travel through this service
_RANDOM = TraceFlags(TraceFlags.RANDOM_TRACE_ID)  # W3C level 2: says that the low 56 bits may be used for sampling
_LOW_64_BITS = TraceIdRatioBased.TRACE_ID_LIMIT
_decided: ContextVar[int | None] = ContextVar("decided", default=None)


class RequestSpans:
    """ASGI layer: runs each request in a span, named by its route, that holds no text of the client's.

    What is not sampled, nine requests in ten, runs in a valid span that records nothing: log lines carry its trace id,
    child spans follow the decision and outbound calls pass it on, at a tenth of the price of asking the SDK.
    """

    def __init__(
        self, app: ASGIApp, *, tracer_provider: trace.TracerProvider, ratio: float, route_of: Callable[[Scope], str]
    ) -> None:
        self._app = app
        self._tracer = tracer_provider.get_tracer(__name__)
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio)
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        traceparent = asgi.header(scope, b"traceparent")
        parent = None if traceparent is None else _parent(traceparent)
        unsampled = self._unsampled(parent)
        if unsampled is None:
            await self._recorded(parent, scope, receive, send)
            return
        token = otel_context.attach(context_of(NonRecordingSpan(unsampled)))
        try:
            await self._app(scope, receive, send)
        finally:
            otel_context.detach(token)

    def _unsampled(self, parent: SpanContext | None) -> SpanContext | None:
        """Return the span of a request that is not sampled, decided as the SDK would; None for one that is."""
        if parent is None:
            trace_id = random.getrandbits(128) or 1
            if trace_id & _LOW_64_BITS < self._bound:
                _decided.set(trace_id)
                return None
            flags = _RANDOM
        elif parent.trace_flags & TraceFlags.SAMPLED:
            return None
        else:
            trace_id = parent.trace_id
            flags = TraceFlags(parent.trace_flags & _RANDOM)
        return SpanContext(trace_id, random.getrandbits(64) or 1, False, flags)  # noqa: FBT003 - is not remote

    async def _recorded(self, parent: SpanContext | None, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, receive, send = asgi.exchange(scope, receive, send)
        # As the semantic conventions have it.
        name = "HTTP" if exchange.method == asgi.OTHER_METHOD else exchange.method
        outside = Context() if parent is None else context_of(NonRecordingSpan(parent))
        span = self._tracer.start_span(name, context=outside, kind=SpanKind.SERVER)
        if span.is_recording():
            exchange.trace_id = span.get_span_context().trace_id
        token = otel_context.attach(context_of(span))
        failure: Exception | None = None
        try:
            await self._app(scope, receive, send)
        except Exception as exc:
            failure = exc  # after the answer had begun: the server cuts the connection
            raise
        finally:
            route = self._route_of(scope)
            if route != asgi.UNMATCHED:
                span.update_name(f"{name} {route}")
                span.set_attribute("http.route", route)
            _finish(span, scope, exchange, failure or exchange.failure)
            otel_context.detach(token)


class HandedDownIds(RandomIdGenerator):
    """Gives the SDK the trace id on which `RequestSpans` decided: sampled by one id, it must not run under another."""

    def generate_trace_id(self) -> int:
        trace_id = _decided.get()
        if trace_id is None:
            return super().generate_trace_id()
        _decided.set(None)  # for one root span: a second trace of the same request gets an id of its own
        return trace_id


def _parent(traceparent: bytes) -> SpanContext | None:
    """Return the caller's span, read by the SDK's own parser; None when its header is malformed."""
    # Without `tracestate`, as W3C allows: it is free text of the caller's, and would end up on each span.
    carrier = {"traceparent": traceparent.decode("latin-1")}
    span = trace.get_current_span(PROPAGATOR.extract(carrier, Context())).get_span_context()
    return span if span.is_valid else None


def _finish(span: Span, scope: Scope, exchange: asgi.Exchange, failure: Exception | None) -> None:
    attributes = {
        "http.request.method": exchange.method,
        "http.response.status_code": exchange.status,
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
        **of_current_work(),  # once more: by now the tenant is known
    }
    if failure is not None:
        span.add_event("exception", attributes_of(failure))  # not `record_exception`, which quotes values
    if exchange.status >= asgi.SERVER_ERROR:
        attributes["error.type"] = type(failure).__qualname__ if failure else str(exchange.status)
        span.set_status(StatusCode.ERROR)
    span.set_attributes(attributes)
    span.end()
