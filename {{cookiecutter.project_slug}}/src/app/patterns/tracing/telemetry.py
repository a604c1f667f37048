"""Metrics of tracing itself; each name is spelled here and nowhere else in the code."""

from prometheus_client import Counter

SPANS_EXPORTED = Counter("spans_exported_total", "Spans that the collector has taken.", ["name"])
SPAN_BYTES_EXPORTED = Counter("span_bytes_exported_total", "Their size, as OTLP in protobuf.", ["name"])
SPANS_DROPPED = Counter("spans_dropped_total", "Spans that were sampled and never reached the collector.", ["reason"])
QUEUE_FULL, EXPORT_FAILED = "queue_full", "export_failed"

for _reason in (QUEUE_FULL, EXPORT_FAILED):
    SPANS_DROPPED.labels(_reason)
