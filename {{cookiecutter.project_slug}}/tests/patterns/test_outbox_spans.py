"""patterns/outbox/spans.py: a trace that was sampled shows how long its event took from the table to the broker."""

import pytest
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.outbox import BrokerUnavailable, Relay, RelaySettings, spans
from tests.support.outbox import an_event, given_events
from tests.support.recording_broker import RecordingBroker

REQUEST = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
UNSAMPLED = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT))


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What the relay records."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
def relay(engine: AsyncEngine, broker: RecordingBroker) -> Relay:
    return Relay(engine, broker, RelaySettings(retry_seconds=0.01))


async def given_event_of(engine: AsyncEngine, request: SpanContext) -> None:
    """Commit one event that belongs to a trace."""
    with trace.use_span(NonRecordingSpan(request)):
        await given_events(engine, an_event())


async def test_an_event_of_a_sampled_trace_has_a_span_of_its_sending(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, exporter: InMemorySpanExporter
) -> None:
    """It is a child of the request, says how long the event waited, and tells its own id to the consumer."""
    await given_event_of(engine, REQUEST)

    await relay.relay_once()

    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("send order.placed", SpanKind.PRODUCER)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (REQUEST.trace_id, REQUEST.span_id)
    age = (span.attributes or {})["outbox.age_seconds"]
    assert isinstance(age, float)
    assert age > 0
    carried = trace.get_current_span(extract(dict(broker.stored[0].headers))).get_span_context()
    assert span.context is not None
    assert (carried.trace_id, carried.span_id) == (REQUEST.trace_id, span.context.span_id)


async def test_an_event_of_another_trace_costs_nothing(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, exporter: InMemorySpanExporter
) -> None:
    """Where the request was not sampled, neither is the sending; the event itself still carries the trace."""
    await given_event_of(engine, UNSAMPLED)
    await given_events(engine, an_event())

    await relay.relay_once()
    await relay.relay_once()

    assert exporter.get_finished_spans() == ()
    assert [message.headers for message in broker.stored] == [{}, {}]
    assert broker.events[0]["traceparent"].endswith("-00")


async def test_a_refused_event_is_an_error_in_its_trace(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, exporter: InMemorySpanExporter
) -> None:
    """A broker that answers no is seen in the trace of the request."""
    broker.refusals["order.placed"] = 1
    await given_event_of(engine, REQUEST)

    await relay.relay_once()

    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "refused"
    assert not span.status.is_ok


async def test_a_broker_that_breaks_off_is_an_error_in_the_trace(
    engine: AsyncEngine, relay: Relay, broker: RecordingBroker, exporter: InMemorySpanExporter
) -> None:
    """No span stays open when nothing is known about the outcome."""
    broker.fail_after = 0
    await given_event_of(engine, REQUEST)

    with pytest.raises(BrokerUnavailable):
        await relay.relay_once()

    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "unavailable"
