"""patterns/structured_logging: of a hot endpoint's lines a share is kept, and all that matter."""

import random
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from starlette.types import Receive, Scope, Send

from app.kit import asgi
from app.patterns.structured_logging import AccessLog, LoggingSettings
from app.patterns.structured_logging.limits import RequestSampling
from tests.support.log_lines import Log, installed_log

RANDOM = random.Random(7)  # noqa: S311 - the same traces on each run
TRACES = [RANDOM.getrandbits(128) for _ in range(2_000)]
HOT = {"GET /hot": 0.1}


def span_of(trace_id: int, *, sampled: bool = False) -> NonRecordingSpan:
    """Return a span of a trace."""
    return NonRecordingSpan(SpanContext(trace_id, 1, is_remote=False, trace_flags=TraceFlags(int(sampled))))


def share(trace_id: int, *, ratio: float = 0.1, sampled: bool = False, seconds: float = 0.0) -> float:
    """Return what becomes of the line of a request in a trace."""
    sampling = RequestSampling(LoggingSettings(request_ratio=ratio))
    with trace.use_span(span_of(trace_id, sampled=sampled)):
        return sampling.share("GET", "/hot", seconds)


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_the_log_samples_as_the_traces_do(ratio: float) -> None:
    """At the same ratio, the lines that are kept are those of the traces that OpenTelemetry's sampler keeps."""
    sampler = TraceIdRatioBased(ratio)

    kept = [trace_id for trace_id in TRACES if share(trace_id, ratio=ratio)]

    traced = [t for t in TRACES if sampler.should_sample(None, t, "x").decision == Decision.RECORD_AND_SAMPLE]
    assert kept == traced
    assert abs(len(kept) - ratio * len(TRACES)) < 100


def test_a_line_of_a_sampled_trace_is_kept() -> None:
    """Whoever looks at a trace finds its lines; they stand for themselves alone, unless the ratio keeps them too."""
    shares = [share(trace_id, sampled=True) for trace_id in TRACES]

    assert set(shares) == {0.1, 1.0}
    assert 100 < shares.count(0.1) < 300


def test_a_slow_request_is_kept() -> None:
    """A request that took a second is never left to chance."""
    assert [share(trace_id, seconds=1.0) for trace_id in TRACES] == [1.0] * len(TRACES)


def test_without_a_trace_the_share_is_kept_by_chance() -> None:
    """Where nobody traces, a tenth of the lines is about a tenth."""
    sampling = RequestSampling(LoggingSettings(request_ratio=0.1))

    kept = [share for _ in range(5_000) if (share := sampling.share("GET", "/hot", 0.0))]

    assert set(kept) == {0.1}
    assert 300 < len(kept) < 700


@pytest.mark.parametrize(
    ("method", "route", "kept"), [("GET", "/hot", 0.0), ("POST", "/hot", 1.0), ("GET", "/cold", 1.0)]
)
def test_a_ratio_is_for_one_endpoint(method: str, route: str, kept: float) -> None:
    """Method and template together name what is hot."""
    sampling = RequestSampling(LoggingSettings(request_ratios={"GET /hot": 0.0}))

    with trace.use_span(span_of(TRACES[0])):
        assert sampling.share(method, route, 0.0) == kept


async def send_requests(log: Log, status: int, *, cause: Exception | None = None) -> list[dict[str, Any]]:
    """Answer one request to GET /hot in each trace with `status`; return the lines."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if cause is not None:
            asgi.note_problem(scope, code="internal_error", failure=cause)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - stands for both receive and send
        return None

    layer = AccessLog(app, route_of=lambda _: "/hot")
    for trace_id in TRACES:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with trace.use_span(span_of(trace_id)):
            await layer(scope, nothing, nothing)
    return log.lines


async def test_lines_of_a_hot_endpoint_say_for_how_many_they_stand() -> None:
    """A tenth is written, with the ratio; the others are counted."""
    with installed_log(request_ratios=HOT) as log:
        lines = await send_requests(log, 200)

        assert 100 < len(lines) < 300
        assert {line["sample_ratio"] for line in lines} == {0.1}
        dropped = log.counted("log_lines_dropped_total", event="http.request", reason="sampled_out")
        assert len(lines) + dropped == len(TRACES)


async def test_failures_of_a_hot_endpoint_are_all_kept() -> None:
    """Each answer of 500 has its line, which stands for itself."""
    with installed_log(request_ratios=HOT, burst=1) as log:
        lines = await send_requests(log, 500, cause=RuntimeError("a bug"))

    assert len(lines) == len(TRACES)
    assert {"sample_ratio" in line for line in lines} == {False}


async def test_refusals_have_a_rate_and_not_a_ratio() -> None:
    """Strangers can cause as many refusals as they like; their lines are bounded, and none is lost below the bound."""
    with installed_log(request_ratios=HOT, rate_per_second=1e-9, burst=500) as log:
        lines = await send_requests(log, 401)

        assert len(lines) == 500
        dropped = log.counted("log_lines_dropped_total", event="http.request", reason="rate_limited")
        assert dropped == len(TRACES) - 500


async def test_slow_refusals_are_all_kept() -> None:
    """A request that took too long is written, whatever came of it and however many there were."""
    with installed_log(rate_per_second=1e-9, burst=1, slow_request_seconds=1e-9) as log:
        lines = await send_requests(log, 404)

    assert len(lines) == len(TRACES)


async def test_all_lines_are_kept_unless_told_otherwise() -> None:
    """By default every request that succeeds leaves its line, however many there are."""
    with installed_log(burst=1) as log:
        lines = await send_requests(log, 200)

    assert len(lines) == len(TRACES)
    assert {"sample_ratio" in line for line in lines} == {False}
