"""Metrics of tracing itself; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter

QUEUE_FULL, EXPORT_FAILED = "queue_full", "export_failed"
SPANS_EXPORTED = counter("spans_exported_total", "Spans that the collector has taken.", {"name": 90})
SPAN_BYTES_EXPORTED = counter("span_bytes_exported_total", "Their size, as OTLP in protobuf.", {"name": 90})
SPANS_DROPPED = counter(
    "spans_dropped_total",
    "Spans that were sampled and never reached the collector.",
    {"reason": (QUEUE_FULL, EXPORT_FAILED)},
)
