"""What both processes ask of PostgreSQL, of the payment provider and of themselves is in traces and metrics."""

import asyncio
from collections.abc import Mapping

import pytest
from prometheus_client.samples import Sample

from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines


@pytest.fixture(scope="module")
def trace_id(service: RunningService) -> str:
    """The trace of an order that has been placed, paid and consumed."""
    return asyncio.run(_placed(service))


async def test_the_trace_of_an_order_holds_what_was_asked_of_others(service: RunningService, trace_id: str) -> None:
    """Below the request: each statement, each commit, and the call to the provider, in the order of their begin."""
    server = await service.spans.span("POST /v1/orders", trace_id=trace_id)

    below = [span for span in service.spans.of_trace(trace_id) if span.parent_id == server.span_id]
    asked = [span.name for span in sorted(below, key=lambda span: span.began_ns) if span.kind == "CLIENT"]
    assert asked == [
        "INSERT orders",
        "COMMIT",
        "POST /authorisations",
        "SELECT orders",
        "UPDATE orders",
        "INSERT audit_log",
        "INSERT outbox",
        "COMMIT",
    ]


async def test_the_consumers_statements_are_below_the_consumer(service: RunningService, trace_id: str) -> None:
    """The same trace goes on in the worker, down to its database."""
    consumer = await service.spans.span("process order.placed", trace_id=trace_id)

    names = {span.name for span in service.spans.of_trace(trace_id) if span.parent_id == consumer.span_id}
    assert {"INSERT inbox", "INSERT order_timeline", "COMMIT"} <= names


async def test_no_value_of_a_statement_is_in_a_span(service: RunningService, trace_id: str) -> None:
    """The statements are there with placeholders: neither tenant nor goods are."""
    statements = [span.attributes.get("db.query.text", "") for span in service.spans.of_trace(trace_id)]

    assert any("$1" in statement for statement in statements)
    assert [statement for statement in statements if "acme" in statement or "tea-1" in statement] == []


@pytest.mark.usefixtures("trace_id")
@pytest.mark.parametrize("process", ["serve", "worker"])
async def test_a_process_measures_its_database_and_its_event_loop(service: RunningService, process: str) -> None:
    """Statements by table, the wait for connections, the pool, and how late the event loop is: in each process."""
    url = service.url if process == "serve" else service.worker_url
    table, pool = ("orders", "http") if process == "serve" else ("inbox", "worker")

    async def looked() -> list[Sample]:
        samples = await service.samples(url)
        return samples if value(samples, "event_loop_lag_seconds_count") > 0 else []

    samples = await eventually(looked)
    counted = {"db_operation_name": "INSERT", "db_collection_name": table, "error_type": ""}
    assert value(samples, "db_client_operation_duration_seconds_count", counted) >= 1
    assert value(samples, "db_client_connection_wait_time_seconds_count") >= 1
    assert value(samples, "db_client_connection_max", {"pool": pool}) == 10
    connections = [sample for sample in samples if sample.name == "db_client_connections"]
    assert 1 <= sum(sample.value for sample in connections if sample.labels["pool"] == pool) <= 10
    assert value(samples, "asyncio_tasks") > 1


@pytest.mark.usefixtures("trace_id")
@pytest.mark.parametrize(("method", "status"), [("POST", "201"), ("GET", "200")], ids=["provider", "keys"])
async def test_calls_to_others_are_measured(service: RunningService, method: str, status: str) -> None:
    """The payment provider's answers, and those of the issuer of keys."""
    labels = {
        "server_address": "127.0.0.1",
        "http_request_method": method,
        "http_response_status_code": status,
        "error_type": "",
    }

    assert value(await service.samples(), "http_client_request_duration_seconds_count", labels) >= 1


def value(samples: list[Sample], name: str, labels: Mapping[str, str] | None = None) -> float:
    """Return the value of one series, or 0."""
    return sum(sample.value for sample in samples if sample.name == name and sample.labels == (labels or {}))


async def _placed(service: RunningService) -> str:
    async with service.client() as client:
        await client.get("/v1/orders")  # the first token also fetches the issuer's keys
        placed = await client.post("/v1/orders", json=ORDER)
        await service.in_state(client, placed.json()["id"], "placed", "order.placed")
    (line,) = await request_lines(service.serve, placed.headers["x-request-id"])
    return str(line["trace_id"])
