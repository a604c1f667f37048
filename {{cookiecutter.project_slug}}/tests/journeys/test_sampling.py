"""Sampling and export as a collector and an operator see them, on real processes."""

import asyncio
import socket
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.journeys.conftest import NewService
from tests.support.running_service import RunningService

REFUSED = "/v1/orders"  # without a token: the cheapest route that is answered by the application
QUEUE = 50


@pytest.fixture(scope="module")
def sampled(new_service: NewService) -> RunningService:
    """An HTTP process that keeps one trace in ten."""
    service = new_service(APP_TRACING__RATIO="0.1")
    asyncio.run(service.start("serve"))
    return service


@pytest.fixture(scope="module")
def hanging() -> Iterator[str]:
    """The address of a collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"


async def test_the_ratio_holds(sampled: RunningService) -> None:
    """Of 1 000 traces 100 are expected; fewer than 43 or more than 157 are seen once in a hundred million runs."""
    await send(sampled, 1_000)
    await all_spans_have_arrived(sampled)

    lines = sampled.serve.logged("http.request")
    kept = {span.trace_id for span in sampled.spans.spans if span.kind == "SERVER"}
    assert len({line["trace_id"] for line in lines}) == len(lines) >= 1_000
    assert kept <= {line["trace_id"] for line in lines}
    assert 43 <= len(kept) <= 157


async def test_a_collector_that_hangs_costs_spans_and_nothing_else(new_service: NewService, hanging: str) -> None:
    """Every request is answered, no more than a queue of spans is held, and each of the others is counted."""
    service = new_service(
        APP_TRACING__OTLP_ENDPOINT=hanging,
        APP_TRACING__QUEUE_SIZE=str(QUEUE),
        APP_TRACING__EXPORT_BATCH_SIZE="10",
        APP_TRACING__EXPORT_TIMEOUT_SECONDS="60",
    )
    await service.start("serve")

    await send(service, 500)

    dropped = {s.labels["reason"]: s.value for s in await service.samples() if s.name == "spans_dropped_total"}
    assert dropped == {"queue_full": 500 - QUEUE, "export_failed": 0}


async def send(service: RunningService, requests: int) -> None:
    """Make `requests` over a few connections and expect each to be answered."""
    async with httpx.AsyncClient(base_url=service.url, limits=httpx.Limits(max_connections=8), timeout=30) as client:
        answers = await asyncio.gather(*(client.get(REFUSED) for _ in range(requests)))

    assert [answer for answer in answers if answer.status_code != httpx.codes.UNAUTHORIZED] == []


async def all_spans_have_arrived(service: RunningService) -> None:
    """Return when the span of one more request is there: they arrive in the order of their end."""
    trace_id = uuid4().hex
    async with httpx.AsyncClient(base_url=service.url) as client:
        await client.get(REFUSED, headers={"traceparent": f"00-{trace_id}-{'1' * 16}-01"})
    await service.spans.span(f"GET {REFUSED}", trace_id=trace_id)
