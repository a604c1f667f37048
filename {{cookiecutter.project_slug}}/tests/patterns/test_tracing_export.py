"""Export of spans: in batches, in the background, and never at the expense of a request or a deployment."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from app.patterns import tracing
from app.patterns.tracing import TracingSettings
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


def test_without_an_address_nothing_is_sent() -> None:
    """Without a collector there is no exporter and no background thread."""
    before = set(threading.enumerate())

    provider = tracing.configure(TracingSettings(), **IDENTITY)
    make_spans(provider, 10)

    started = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in started if name.startswith("Otel")] == []
