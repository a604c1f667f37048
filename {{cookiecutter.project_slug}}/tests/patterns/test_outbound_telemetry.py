"""patterns/outbound_telemetry.py: a call to another service is in the tally, the metrics and the trace."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, use_span
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send

from app.kit.context import Context, bind
from app.kit.instruments import OTHER
from app.patterns.outbound_telemetry import URL_TEMPLATE, MeasuredClient
from dev.http_server import serving

METRIC = "http_client_request_duration_seconds"
SECRET = "4111111111111111"


class Remote:
    """Another service, reached in memory, and what our side exports about the calls."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(201)
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.client = MeasuredClient(
            known_hosts=["payments"], provider=provider, transport=httpx.MockTransport(self._handle)
        )
        self._tracer = provider.get_tracer("test")

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    def span(self) -> Span:
        """Begin the span of a request of ours."""
        return self._tracer.start_span("request")

    @property
    def calls(self) -> list[ReadableSpan]:
        """The client spans that have ended."""
        return [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]


@pytest.fixture
def remote() -> Remote:
    """The other service, with every trace kept."""
    return Remote()


def observed(status: str, error_type: str = "", *, host: str = "payments", method: str = "POST") -> float:
    """Return how many calls were observed under these labels."""
    labels = {
        "server_address": host,
        "http_request_method": method,
        "http_response_status_code": status,
        "error_type": error_type,
    }
    return REGISTRY.get_sample_value(f"{METRIC}_count", labels) or 0


async def test_a_call_is_counted_and_timed(remote: Remote) -> None:
    """In the tally of the work in hand, and in the histogram under host, method and status."""
    work = Context()
    before = observed("201")

    with bind(work):
        await remote.client.post("http://payments/authorisations", json={"card": SECRET})
        await remote.client.post("http://payments/authorisations")

    assert observed("201") == before + 2
    assert work.tally.http_calls == 2
    assert 0 < work.tally.http_seconds < 10


async def test_a_call_of_a_traced_request_is_a_span(remote: Remote) -> None:
    """By the semantic conventions, except for the address: path and query may hold what belongs to a person."""
    with use_span(remote.span()) as request:
        await remote.client.post(f"https://payments/cards/{SECRET}?holder={SECRET}", headers={"card": SECRET})

    (call,) = remote.calls
    assert (call.name, call.parent) == ("POST", request.get_span_context())
    assert dict(call.attributes or {}) == {
        "http.request.method": "POST",
        "server.address": "payments",
        "server.port": 443,
        "http.response.status_code": 201,
    }
    assert call.status.status_code is StatusCode.UNSET
    assert SECRET not in call.to_json()


async def test_a_call_may_name_its_template(remote: Remote) -> None:
    """A template tells which call it was, and nothing of what it was about."""
    with use_span(remote.span()):
        await remote.client.get(f"http://payments/cards/{SECRET}", extensions={URL_TEMPLATE: "/cards/{number}"})

    (call,) = remote.calls
    assert (call.name, (call.attributes or {})["url.template"]) == ("GET /cards/{number}", "/cards/{number}")
    assert SECRET not in call.to_json()


@pytest.mark.parametrize(("url", "port"), [("http://payments", 80), ("http://payments:8002", 8002)])
async def test_a_span_names_the_port(remote: Remote, url: str, port: int) -> None:
    """The one in the address, or the one that its scheme stands for."""
    with use_span(remote.span()):
        await remote.client.get(url)

    (call,) = remote.calls
    assert (call.attributes or {})["server.port"] == port


async def test_the_other_side_continues_the_trace(remote: Remote) -> None:
    """What goes out in `traceparent` is the client span, so that the other service's span hangs below it."""
    with use_span(remote.span()):
        await remote.client.get("http://payments")

    (call,) = remote.calls
    assert call.context is not None
    assert (
        remote.requests[0].headers["traceparent"] == f"00-{call.context.trace_id:032x}-{call.context.span_id:016x}-03"
    )


async def test_a_request_that_is_not_sampled_says_so(remote: Remote) -> None:
    """No span, and yet the trace and the decision travel on: the other side must not begin a trace of its own."""
    remote = Remote(ALWAYS_OFF)

    with use_span(remote.span()) as request:
        await remote.client.get("http://payments")

    context = request.get_span_context()
    _version, trace_id, span_id, flags = remote.requests[0].headers["traceparent"].split("-")
    assert (int(trace_id, 16), int(span_id, 16), int(flags, 16) & 1) == (context.trace_id, context.span_id, 0)
    assert remote.calls == []


async def test_outside_any_trace_nothing_is_sent_along(remote: Remote) -> None:
    """A call without a span above it neither begins a trace nor invents a header."""
    with use_span(INVALID_SPAN):
        await remote.client.get("http://payments")

    assert "traceparent" not in remote.requests[0].headers
    assert remote.calls == []


@pytest.mark.parametrize("status", [402, 404, 503])
async def test_a_refusal_is_an_error_of_the_call(remote: Remote, status: int) -> None:
    """The status is the error's type: in the metric, and on the span."""
    remote.answer = lambda _: httpx.Response(status)
    before = observed(str(status), str(status))

    with use_span(remote.span()):
        response = await remote.client.post("http://payments")

    (call,) = remote.calls
    assert response.status_code == status
    assert observed(str(status), str(status)) == before + 1
    assert ((call.attributes or {})["error.type"], call.status.status_code) == (str(status), StatusCode.ERROR)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_call_without_an_answer_is_seen(remote: Remote, error: type[httpx.TransportError]) -> None:
    """The exception goes on as it was; its type is the error's, and its text, which may hold an address, stays out."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error(f"no answer from http://payments/{SECRET}")

    remote.answer = fail
    work = Context()
    before = observed("", error.__name__)

    with bind(work), use_span(remote.span()), pytest.raises(error):
        await remote.client.post(f"http://payments/{SECRET}")

    (call,) = remote.calls
    assert observed("", error.__name__) == before + 1
    assert ((call.attributes or {})["error.type"], call.status.status_code) == (error.__name__, StatusCode.ERROR)
    assert SECRET not in call.to_json()
    assert work.tally.http_calls == 1


async def test_strange_hosts_and_methods_share_a_label(remote: Remote) -> None:
    """Only hosts that were named become labels, however many addresses are called; and only methods that exist."""
    before = observed("201", host=OTHER, method="GET"), observed("201", host=OTHER, method=OTHER)

    for number in range(20):
        await remote.client.get(f"http://host-{number}")
        await remote.client.request(f"SCAN{number}", f"http://host-{number}")

    after = observed("201", host=OTHER, method="GET"), observed("201", host=OTHER, method=OTHER)
    assert after == (before[0] + 20, before[1] + 20)


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a service that sends its headers, and never the end of its body."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await asyncio.Event().wait()

    with serving(app) as url:
        yield url


async def test_a_body_that_never_ends_counts_as_the_call_that_waited(hanging: str) -> None:
    """Over a socket: the call lasts until the body is there, and giving up on it is a failure of the call."""
    work = Context()
    before = observed("", "CancelledError", host="127.0.0.1", method="GET")

    async with MeasuredClient(known_hosts=["127.0.0.1"], provider=TracerProvider()) as client:
        with bind(work), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.get(hanging)

    assert observed("", "CancelledError", host="127.0.0.1", method="GET") == before + 1
    assert work.tally.http_seconds >= 0.15
