"""Both processes start, and every route proves itself: answer, log line, span, metric, exemplar, event."""

import asyncio
import re
from typing import Any, NamedTuple

import httpx
import nats
import orjson
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from app.kit.ids import random_hex
from dev.ops import slos
from tests.support.log_lines import violations
from tests.support.running_service import ORDER, RunningService, request_lines

PROBES = ("/livez", "/readyz", "/startupz", "/metrics")
COUNT = "http_server_request_duration_seconds_count"


class Call(NamedTuple):
    """One request to one route."""

    method: str
    route: str
    status: int
    json: dict[str, Any] | None = None


CALLS = {
    "place": Call("POST", "/v1/orders", 201, ORDER),
    "list": Call("GET", "/v1/orders", 200),
    "get": Call("GET", "/v1/orders/{order_id}", 200),
    "cancel": Call("POST", "/v1/orders/{order_id}/cancel", 200),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


async def documented(service: RunningService) -> set[tuple[str, str]]:
    """Return method and path of each operation that the service says it has."""
    async with httpx.AsyncClient(base_url=service.url) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


async def test_every_documented_route_is_called_here(service: RunningService) -> None:
    """A route of orders that is added without a journey fails this test."""
    of_orders = {(method, path) for method, path in await documented(service) if path.startswith("/v1/orders")}

    assert of_orders == {(call.method, call.route) for call in CALLS.values()}


async def test_every_service_level_counts_requests_that_can_be_made(service: RunningService) -> None:
    """That of a route which is misspelt, or is no more, would never see a bad one."""
    counted = [slo.events.where for slo in slos.read().slos.values() if "http_route" in slo.events.where]

    assert len(counted) >= 1
    assert {(where["http_request_method"], where["http_route"]) for where in counted} <= await documented(service)


@each_call
async def test_route_answers_and_writes_one_line(service: RunningService, call: Call) -> None:
    """Each route answers as documented, echoes the request id and leaves exactly one canonical log line."""
    request_id = random_hex()
    response = await made(service, call, request_id)

    (line,) = await request_lines(service.serve, request_id)

    assert (response.status_code, response.headers["x-request-id"]) == (call.status, request_id)
    expected = {
        "level": "info",
        "service": service.env["OTEL_SERVICE_NAME"],
        "env": "test",
        "method": call.method,
        "route": call.route,
        "status": call.status,
        "tenant": "acme",
        "actor": "customer-7",
        "response_bytes": len(response.content),
    }
    assert line.items() >= expected.items()
    assert line["duration_ms"] > 0


@each_call
async def test_route_is_traced_under_its_template(service: RunningService, call: Call) -> None:
    """The collector receives one server span per request, named by method and route template."""
    line = await line_of(service, await made(service, call))

    span = await service.spans.span(f"{call.method} {call.route}", trace_id=line["trace_id"])

    assert (span.kind, span.service, span.span_id) == ("SERVER", line["service"], line["span_id"])
    assert span.attributes["http.route"] == call.route
    assert span.attributes["http.response.status_code"] == str(call.status)


@each_call
async def test_route_is_counted_with_a_trace_to_look_at(service: RunningService, call: Call) -> None:
    """/metrics counts each request under template, method and status; an exemplar leads to a trace that exists."""
    labels = {
        "http_route": call.route,
        "http_request_method": call.method,
        "http_response_status_code": str(call.status),
    }
    before = sum(sample.value for sample in await service.samples() if sample.name == COUNT and sample.labels == labels)

    line = await line_of(service, await made(service, call))

    samples = [sample for sample in await service.samples() if labels.items() <= sample.labels.items()]
    exemplars = [sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar]
    assert next(sample.value for sample in samples if sample.name == COUNT) == before + 1
    assert line["trace_id"] in exemplars
    await service.spans.span(f"{call.method} {call.route}", trace_id=line["trace_id"])


async def test_one_trace_id_from_the_request_to_the_consumer(service: RunningService) -> None:
    """The caller's trace runs through request, payment call, outbox and broker into the consumer's span and line."""
    trace_id, request_id = "4bf92f3577b34da6a3ce929d0e0e4736", random_hex()
    caller = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "x-request-id": request_id}
    async with service.client() as client:
        order_id = (await client.post("/v1/orders", json=ORDER, headers=caller)).json()["id"]

    (handled,) = await request_lines(service.worker, request_id, "inbox.message_handled")
    server = await service.spans.span("POST /v1/orders", trace_id=trace_id)
    sender = await service.spans.span("send order.placed", trace_id=trace_id)
    consumer = await service.spans.span("process order.placed", trace_id=trace_id)
    event = await published(service, order_id)

    assert server.parent_id == "00f067aa0ba902b7"
    assert (sender.kind, sender.parent_id) == ("PRODUCER", server.span_id)
    assert float(sender.attributes["outbox.age_seconds"]) > 0
    assert (consumer.kind, consumer.parent_id, consumer.links) == ("CONSUMER", server.span_id, [sender.span_id])
    assert event["traceparent"] == f"00-{trace_id}-{server.span_id}-01"
    assert (handled["trace_id"], handled["span_id"]) == (trace_id, consumer.span_id)
    assert "POST /authorisations" in {span.name for span in service.spans.of_trace(trace_id)}


async def test_event_says_who_asked_and_reaches_the_history(service: RunningService) -> None:
    """Request id, tenant and actor travel with the event into the worker's line, and the order tells its history."""
    request_id = random_hex()
    async with service.client(tenant="globex") as client:
        placed = await client.post("/v1/orders", json=ORDER, headers={"x-request-id": request_id})
        order = await service.in_state(client, placed.json()["id"], "placed", "order.placed")

    event = await published(service, order["id"])
    (handled,) = await request_lines(service.worker, request_id, "inbox.message_handled")

    assert (event["requestid"], event["tenant"], event["actor"]) == (request_id, "globex", "customer-7")
    assert event["data"] == {"order_id": order["id"], "state": "placed", "currency": "EUR", "total_minor": 2500}
    assert (handled["tenant"], handled["actor"], handled["event_id"]) == ("globex", "customer-7", event["id"])


async def test_probes_and_metrics_answer_without_lines(service: RunningService) -> None:
    """Probes and scrapes of both processes answer, and fill neither the log nor the metrics nor the traces."""
    await line_of(service, await made(service, CALLS["list"]))  # the first token fetches keys, which is a line too
    lines = len(service.serve.lines)
    urls = [f"{process}{path}" for process in (service.url, service.worker_url) for path in PROBES]
    async with httpx.AsyncClient() as client:
        answers = await asyncio.gather(*(client.get(url) for url in urls))
    line = await line_of(service, await made(service, CALLS["list"]))

    routes = {sample.labels.get("http_route") for sample in await service.samples()}
    await service.spans.span("GET /v1/orders", trace_id=line["trace_id"])  # spans arrive in the order of their end

    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(service.serve.lines) == lines + 1
    assert not routes & {*PROBES, "unmatched"}
    assert not {span.attributes.get("url.path") for span in service.spans.spans} & set(PROBES)


async def test_both_processes_say_which_build_runs(service: RunningService) -> None:
    """Each process exposes service, version and environment."""
    for url in (service.url, service.worker_url):
        (build,) = [sample for sample in await service.samples(url) if sample.name == "build_info"]

        assert build.labels == {"service": service.env["OTEL_SERVICE_NAME"], "version": "dev", "env": "test"}


async def test_every_line_of_both_processes_is_json(service: RunningService) -> None:
    """Nothing that either process has written since its start is anything but a JSON object of the schema."""
    lines = service.serve.lines + service.worker.lines

    assert [line for line in lines if not re.fullmatch(r"\{.*\}", line)] == []
    assert [broken for line in service.serve.logs + service.worker.logs if (broken := violations(line))] == []


async def made(service: RunningService, call: Call, request_id: str | None = None) -> httpx.Response:
    """Make `call` on an order of its own, if it needs one."""
    headers = {"x-request-id": request_id} if request_id else {}
    async with service.client() as client:
        order_id = ""
        if "{order_id}" in call.route:
            order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        path = call.route.format(order_id=order_id)
        return await client.request(call.method, path, json=call.json, headers=headers)


async def line_of(service: RunningService, response: httpx.Response) -> dict[str, Any]:
    """Return the canonical log line of an answered request."""
    (line,) = await request_lines(service.serve, response.headers["x-request-id"])
    return line


async def published(service: RunningService, order_id: str) -> dict[str, Any]:
    """Return the one event of an order, read from the broker as a stranger would."""
    client = await nats.connect(service.addresses.broker_url)
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    reader = await client.jetstream().pull_subscribe("events.order.>", stream="EVENTS", config=config)
    try:
        while True:
            for message in await reader.fetch(100, timeout=5):
                event: dict[str, Any] = orjson.loads(message.data)
                if event["subject"] == order_id:
                    return event
    finally:
        await client.close()
