"""The relay's part of a trace: for each event of a sampled trace, a span that lasts until the broker has stored it."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, TraceFlags
from sqlalchemy import Row

_tracer = trace.get_tracer(__name__)


def begin(row: Row[Any]) -> Span:
    """Return the span of sending the event in `row`, as a child of the request that wrote it."""
    if row.traceparent is None or not int(row.traceparent[-2:], 16) & TraceFlags.SAMPLED:
        return INVALID_SPAN  # most events: asking the SDK would cost more than the rest of the relay's work for them
    return _tracer.start_span(
        f"send {row.type}",
        context=extract({"traceparent": row.traceparent}),
        kind=SpanKind.PRODUCER,
        attributes={
            "messaging.system": "nats",
            "messaging.operation.type": "send",
            "messaging.destination.name": row.type,
            "messaging.message.id": str(row.event_id),
            "outbox.age_seconds": row.age_seconds,
        },
    )


def headers(span: Span) -> Mapping[str, str]:
    """Return what tells the consumer of this span, which it links to: its parent is the request."""
    carrier: dict[str, str] = {}
    if span.is_recording():
        inject(carrier, context=trace.set_span_in_context(span))
    return carrier


def end(span: Span, *, error: str | None = None) -> None:
    """End the span of an event that the broker has stored, or of one that it has not, by an `error` of few values."""
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end()


def end_all(sending: Iterable[Span], *, error: str) -> None:
    """End the spans of a wave about which nothing is known."""
    for span in sending:
        end(span, error=error)
