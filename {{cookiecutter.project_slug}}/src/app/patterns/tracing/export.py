"""The way to the collector: bounded, redacted and counted, so that a dead collector costs spans and nothing else."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import Attributes

from app.kit.redaction import redact

from . import telemetry

_MEASURE_EVERY = 16  # spans of one name differ little: encoding each a second time would double the price of export


class BoundedExport(SpanProcessor):
    """Batches spans in the background, holds at most `queue_size` of them, those on their way included.

    The SDK's own processor counts what it drops only through OpenTelemetry metrics, which this service has not.
    """

    def __init__(self, exporter: SpanExporter, *, queue_size: int, batch_size: int, delay_seconds: float) -> None:
        self._free = queue_size
        self._lock = threading.Lock()
        self._batches = BatchSpanProcessor(
            _Guarded(exporter, self._release),
            max_queue_size=queue_size,
            max_export_batch_size=min(batch_size, queue_size),
            schedule_delay_millis=delay_seconds * 1000,
        )

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            has_room = self._free > 0
            self._free -= has_room
        if has_room:
            self._batches.on_end(span)
        else:
            telemetry.SPANS_DROPPED.labels(telemetry.QUEUE_FULL).inc()

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # the SDK's

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)

    def _release(self, count: int) -> None:
        with self._lock:
            self._free += count


class _Guarded(SpanExporter):
    """Hands a batch on without secrets and personal data, and counts what became of it."""

    def __init__(self, exporter: SpanExporter, release: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._release = release
        self._seen: Counter[str] = Counter()
        self._bytes: dict[str, int] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            clean = [redacted(span) for span in spans]
            result = self._exporter.export(clean)
            if result is SpanExportResult.SUCCESS:
                self._count(clean)
        finally:
            if result is not SpanExportResult.SUCCESS:
                telemetry.SPANS_DROPPED.labels(telemetry.EXPORT_FAILED).inc(len(spans))
            self._release(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _count(self, spans: Sequence[ReadableSpan]) -> None:
        for span in spans:
            if self._seen[span.name] % _MEASURE_EVERY == 0:
                self._bytes[span.name] = _encoded_bytes(span)
            self._seen[span.name] += 1
            telemetry.SPANS_EXPORTED.labels(span.name).inc()
            telemetry.SPAN_BYTES_EXPORTED.labels(span.name).inc(self._bytes[span.name])


def redacted(span: ReadableSpan) -> ReadableSpan:
    """Return `span`, or a copy of it where a text held what must not leave the process."""
    attributes = _redacted(span.attributes)
    events = [Event(event.name, _redacted(event.attributes), event.timestamp) for event in span.events]
    description = span.status.description and redact(span.status.description)
    if (attributes, description) == (span.attributes, span.status.description) and all(
        mine.attributes == its.attributes for mine, its in zip(events, span.events, strict=True)
    ):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, description),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _redacted(attributes: Attributes) -> Attributes:
    return {name: redact(value) if isinstance(value, str) else value for name, value in (attributes or {}).items()}


def _encoded_bytes(span: ReadableSpan) -> int:
    (resource,) = encode_spans([span]).resource_spans
    (scope,) = resource.scope_spans
    return int(scope.spans[0].ByteSize())
