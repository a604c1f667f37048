"""Export of spans: in batches, in the background, and never at the expense of a request or a deployment."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode
from prometheus_client import REGISTRY

from app.patterns import tracing
from app.patterns.tracing import TracingSettings
from app.patterns.tracing.export import BoundedExport
from tests.support.eventually import eventually

IDENTITY = {"service": "orders", "env": "test", "version": "1.2.3"}


@pytest.fixture(autouse=True)
def global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test set the process's provider anew: OpenTelemetry allows it once."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _provider: None)


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans."""

    received: list[int]

    def do_POST(self) -> None:
        self.received.append(len(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[int]]]:
    """A collector on a socket: its address, and the sizes of what it received."""
    received: list[int] = []
    handler = type("Handler", (_Collector,), {"received": received})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()


def make_spans(provider: TracerProvider, count: int) -> None:
    """End `count` spans."""
    for _ in range(count):
        provider.get_tracer("test").start_span("work").end()


async def test_spans_reach_the_collector(collector: tuple[str, list[int]]) -> None:
    """With an address, spans are sent in batches in the background, and the rest at the end."""
    address, received = collector
    provider = tracing.configure(
        TracingSettings(ratio=1, otlp_endpoint=address, export_batch_size=10, export_delay_seconds=60), **IDENTITY
    )

    make_spans(provider, 10)
    await eventually(lambda: len(received) == 1)
    make_spans(provider, 1)
    tracing.shut_down(provider)

    assert len(received) == 2
    assert received[0] > received[1] > 0


def test_a_hanging_collector_costs_no_request_and_no_deployment() -> None:
    """A collector that accepts and never answers: spans are made at full speed, dropped, and left behind at the end."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        provider = tracing.configure(
            TracingSettings(
                ratio=1,
                otlp_endpoint=f"http://127.0.0.1:{hanging.getsockname()[1]}/",
                queue_size=50,
                export_timeout_seconds=1,
            ),
            **IDENTITY,
        )
        begun = time.monotonic()
        make_spans(provider, 2_000)
        made = time.monotonic() - begun
        tracing.shut_down(provider, timeout_seconds=0.2)
        stopped = time.monotonic() - begun - made

    assert made < 1
    assert stopped < 1


class _Heard(SpanExporter):
    """A collector in memory that can be made to hang or to fail."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.answer = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.open.wait()
        self.spans += spans
        return self.answer


class _Export:
    """A provider whose spans go to `collector`, twenty at most at a time."""

    def __init__(self) -> None:
        self.collector = _Heard()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.processor = BoundedExport(self.collector, queue_size=20, batch_size=5, delay_seconds=60)
        self.provider.add_span_processor(self.processor)


@pytest.fixture
def export() -> Iterator[_Export]:
    """Export to a collector in memory."""
    export = _Export()
    yield export
    export.collector.open.set()
    export.provider.shutdown()


def dropped(reason: str) -> float:
    """Return how many spans were dropped so far."""
    return REGISTRY.get_sample_value("spans_dropped_total", {"reason": reason}) or 0.0


def test_what_has_no_room_is_dropped_and_counted(export: _Export) -> None:
    """While the collector hangs, twenty spans are held, those on their way included; every other one is counted."""
    before = dropped("queue_full")
    export.collector.open.clear()

    make_spans(export.provider, 5)
    assert export.collector.asked.wait(10)
    make_spans(export.provider, 100)
    export.collector.open.set()
    export.processor.force_flush()

    assert len(export.collector.spans) == 20
    assert dropped("queue_full") - before == 85


def test_room_that_was_taken_comes_back(export: _Export) -> None:
    """After the collector has taken a batch, as many spans fit again, and none is dropped."""
    before = dropped("queue_full")

    make_spans(export.provider, 20)
    export.processor.force_flush()
    make_spans(export.provider, 20)
    export.processor.force_flush()

    assert len(export.collector.spans) == 40
    assert dropped("queue_full") == before


def test_a_batch_that_the_collector_refuses_is_counted(export: _Export) -> None:
    """What was handed over and not taken is lost, and known to be."""
    before = dropped("export_failed")
    export.collector.answer = SpanExportResult.FAILURE

    make_spans(export.provider, 7)
    export.processor.force_flush()

    assert dropped("export_failed") - before == 7


def test_what_was_exported_is_counted_by_name_and_size(export: _Export) -> None:
    """Names tell which spans are many, bytes which are big."""
    for name, count in (("small", 3), ("large", 2)):
        for _ in range(count):
            export.provider.get_tracer("test").start_span(
                name, attributes={name: "x" * 1000} if name == "large" else {}
            ).end()
    export.processor.force_flush()

    counted = {name: REGISTRY.get_sample_value("spans_exported_total", {"name": name}) for name in ("small", "large")}
    sizes = {
        name: REGISTRY.get_sample_value("span_bytes_exported_total", {"name": name}) for name in ("small", "large")
    }
    assert counted == {"small": 3, "large": 2}
    assert (sizes["small"] or 0) / 3 < 200
    assert 1000 < (sizes["large"] or 0) / 2 < 1300


def test_what_leaves_the_process_is_redacted(export: _Export) -> None:
    """Attributes, exceptions and descriptions hold no secret, whoever wrote them; the rest of the span is as it was."""
    tracer = export.provider.get_tracer("test")
    with pytest.raises(RuntimeError), tracer.start_as_current_span("work", attributes={"to": "jo@example.com", "n": 7}):
        raise RuntimeError("mail to jo@example.com failed")
    tracer.start_span("other", attributes={"n": 7}).end()
    export.processor.force_flush()

    work, other = export.collector.spans
    assert "jo@example.com" not in work.to_json()
    assert (work.attributes or {})["n"] == 7
    assert work.status.status_code is StatusCode.ERROR
    assert [event.name for event in work.events] == ["exception"]
    assert (work.name, other.name, dict(other.attributes or {})) == ("work", "other", {"n": 7})


def test_without_an_address_nothing_is_sent() -> None:
    """Without a collector there is no exporter and no background thread."""
    before = set(threading.enumerate())

    provider = tracing.configure(TracingSettings(), **IDENTITY)
    make_spans(provider, 10)

    started = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in started if name.startswith("Otel")] == []
