"""patterns/tracing.py: what is sampled, what it is called, and that nothing is lost for what is not."""

import random
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from starlette.middleware import Middleware

from app.kit import context, problems
from app.kit.asgi import RouteTemplates
from app.patterns import tracing
from app.patterns.request_id import RequestId
from app.patterns.tracing import TracingSettings, requests
from dev.http_server import serving

IDENTITY = {"service": "orders", "env": "test", "version": "1.2.3"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RECORD = Decision.RECORD_AND_SAMPLE
SPAN = "00f067aa0ba902b7"


class Service:
    """A traced application, and the spans that it exported."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - any field of TracingSettings
        self.settings = TracingSettings(**settings)
        self.provider = tracing.configure(self.settings, **IDENTITY)
        self.exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.app = FastAPI(
            telemetry={"tracing": False, "metrics": False, "logs": False},
            middleware=[
                Middleware(RequestId),
                Middleware(
                    tracing.RequestSpans,
                    tracer_provider=self.provider,
                    ratio=self.settings.ratio,
                    route_of=RouteTemplates(),
                ),
                Middleware(problems.Problems, statuses={}),
            ],
        )
        router = APIRouter()

        @router.get("/things/{thing_id}")
        async def get_thing(thing_id: int) -> dict[str, str]:
            assert thing_id
            with self.provider.get_tracer("test").start_as_current_span("inner"):
                return see()

        @router.get("/bug")
        async def bug() -> None:
            raise RuntimeError("a bug of jo@example.com")

        self.app.include_router(router, prefix="/v1")
        self.app.include_router(router, prefix="/v2")
        self.app.add_api_route("/see", see)
        self.app.add_api_route("/detached", self.start_detached)

    @property
    def names(self) -> list[str]:
        """The names of the exported spans, in the order of their end."""
        return [span.name for span in self.exporter.get_finished_spans()]

    async def start_detached(self) -> None:
        """Begin a trace that has nothing to do with the request."""
        self.provider.get_tracer("test").start_span("detached", context=Context()).end()

    async def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Send one request."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as client:
            return await client.request(method, path, headers=headers)


def see() -> dict[str, str]:
    """Return what an outbound call would carry."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier


@pytest.fixture(autouse=True)
def global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test set the process's provider anew: OpenTelemetry allows it once."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _provider: None)


async def test_a_sampled_request_is_one_span_with_its_route() -> None:
    """One server span with the stable attribute names, and the application's own below it."""
    service = Service(ratio=1)

    await service.get("/v1/things/7?token=1")

    inner, server = service.exporter.get_finished_spans()
    assert (inner.name, server.name) == ("inner", "GET /v1/things/{thing_id}")
    assert inner.parent == server.get_span_context()
    assert server.kind is SpanKind.SERVER
    attributes = dict(server.attributes or {})
    assert attributes["http.request.method"] == "GET"
    assert attributes["http.route"] == "/v1/things/{thing_id}"
    assert attributes["http.response.status_code"] == 200
    assert "token" not in str(attributes)  # nor anything else that the client wrote
    assert dict(server.resource.attributes).items() >= {
        ("service.name", "orders"), ("service.version", "1.2.3"), ("deployment.environment.name", "test"),
    }  # fmt: skip


async def test_every_span_says_whose_work_it_is() -> None:
    """Each span of a request carries its id; tenant and caller are on those that begin after they are known."""
    service = Service(ratio=1)

    async def known() -> None:
        work = context.current()
        work.tenant, work.actor = "acme", "customer-7"
        service.provider.get_tracer("test").start_span("inner").end()

    service.app.add_api_route("/known", known)
    response = await service.get("/known")

    inner, server = service.exporter.get_finished_spans()
    whose = {
        "app.request_id": response.headers["x-request-id"],
        "app.tenant": "acme",
        "enduser.pseudo.id": "customer-7",
    }
    assert dict(inner.attributes or {}) == whose
    assert dict(server.attributes or {}).items() >= whose.items()


async def test_two_inclusions_of_a_router_have_two_names() -> None:
    """/v1/x and /v2/x stay apart; addresses and methods that nobody knows share a name."""
    service = Service(ratio=1)

    for method, path in [("GET", "/v1/things/1"), ("GET", "/v2/things/2"), ("GET", "/scan.php"), ("SCAN", "/x")]:
        await service.get(path, method)

    servers = [span for span in service.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert [span.name for span in servers] == [
        "GET /v1/things/{thing_id}",
        "GET /v2/things/{thing_id}",
        "GET",
        "HTTP",
    ]


async def test_an_unsampled_request_has_a_trace_all_the_same() -> None:
    """Nothing is exported, yet there is a trace id for the log, and outbound calls say `not sampled`."""
    service = Service(ratio=0)

    seen = (await service.get("/see")).json()["traceparent"]

    version, trace_id, span_id, flags = seen.split("-")
    assert version == "00"
    assert int(trace_id, 16)
    assert int(span_id, 16)
    assert int(flags, 16) & trace.TraceFlags.SAMPLED == 0
    assert service.names == []


@pytest.mark.parametrize(("flags", "exported"), [("01", 2), ("00", 0), ("03", 2), ("02", 0)])
@pytest.mark.parametrize("ratio", [0, 1])
async def test_the_callers_decision_is_followed(ratio: float, flags: str, exported: int) -> None:
    """Parent-based: whatever our own ratio, a trace is kept or dropped whole; flags are passed on, text is not."""
    service = Service(ratio=ratio)

    seen = (await service.get("/v1/things/7", traceparent=f"00-{TRACE}-{SPAN}-{flags}", tracestate="a=1")).json()

    _, trace_id, span_id, sent_flags = seen["traceparent"].split("-")
    assert (trace_id, sent_flags) == (TRACE, flags)
    assert "tracestate" not in seen
    assert span_id != SPAN
    assert len(service.names) == exported


@pytest.mark.parametrize(
    "traceparent",
    [
        "", "nonsense", f"00-{TRACE}-{SPAN}", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-extra", "0" * 10_000,
    ],
    ids=["empty", "nonsense", "short", "zero trace", "zero span", "version ff", "upper case", "extra", "10k"],
)  # fmt: skip
@pytest.mark.parametrize("ratio", [0, 1])
async def test_a_malformed_traceparent_starts_a_new_trace(ratio: float, traceparent: str) -> None:
    """Nonsense is neither an error nor passed on, sampled or not."""
    service = Service(ratio=ratio)

    response = await service.get("/v1/things/7", traceparent=traceparent)

    assert response.status_code == 200
    trace_id = response.json()["traceparent"].split("-")[1]
    assert int(trace_id, 16)
    assert trace_id != TRACE
    assert len(service.names) == 2 * ratio


async def test_the_decision_is_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    """For every id, at the bound too, the early exit decides as the SDK's own sampler; a sampled trace keeps its id."""
    service = Service(ratio=0.3)
    sampler = TraceIdRatioBased(0.3)
    chance = random.Random(7)  # noqa: S311 - the same ids in each run
    ids = [chance.getrandbits(128) for _ in range(200)]
    ids += [chance.getrandbits(64) << 64 | sampler.bound + offset for offset in (-1, 0, 1)]
    made = iter(ids)
    monkeypatch.setattr(requests, "random", SimpleNamespace(getrandbits=lambda bits: next(made) if bits == 128 else 1))

    for _ in ids:
        await service.get("/v1/things/7")

    exported = [span.context.trace_id for span in service.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert exported == [made_id for made_id in ids if sampler.should_sample(None, made_id, "").decision is RECORD]
    assert 0 < len(exported) < len(ids)


async def test_a_second_trace_within_a_request_has_an_id_of_its_own() -> None:
    """The id that was decided on is for the request's own root span alone."""
    service = Service(ratio=1)

    await service.get("/detached")

    detached, server = service.exporter.get_finished_spans()
    assert (detached.name, server.name) == ("detached", "GET /detached")
    assert detached.context.trace_id != server.context.trace_id


async def test_a_bug_is_on_the_span() -> None:
    """The span of a failed request is an error and holds the exception, without the values in its message."""
    service = Service(ratio=1)

    assert (await service.get("/v1/bug")).status_code == 500

    (server,) = service.exporter.get_finished_spans()
    assert server.status.status_code is StatusCode.ERROR
    assert [(event.name, dict(event.attributes or {})) for event in server.events] == [
        ("exception", {"exception.type": "RuntimeError", "exception.message": "a bug of [email]"})
    ]
    assert (server.attributes or {})["error.type"] == "RuntimeError"
    assert server.name == "GET /v1/bug"


def test_over_a_socket_each_request_is_decided_by_itself() -> None:
    """A real server on one connection: some requests are sampled, some are not, ids never repeat."""
    service = Service(ratio=0.5)
    with serving(service.app) as url, httpx.Client(base_url=url) as client:
        seen = [client.get("/v1/things/7").json()["traceparent"].split("-") for _ in range(60)]

    sampled = {int(trace_id, 16) for _, trace_id, _, flags in seen if int(flags, 16) & 1}
    assert len({trace_id for _, trace_id, _, _ in seen}) == 60
    assert {span.context.trace_id for span in service.exporter.get_finished_spans()} == sampled
    assert 0 < len(sampled) < 60
