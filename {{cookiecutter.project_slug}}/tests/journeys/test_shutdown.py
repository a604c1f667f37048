"""SIGTERM: a deployment takes nobody's answer away, and no event."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import httpx

from app.kit.ids import random_hex
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines

NewService = Callable[..., RunningService]


async def test_request_in_flight_gets_its_answer(new_service: NewService) -> None:
    """On SIGTERM the process looks unready, goes on answering, finishes what is in hand, and ends with exit code 0."""
    service = new_service(APP_HTTP__DRAIN_SECONDS="0.7")
    request_id = random_hex()
    await service.start("serve")
    await service.set_faults(latency_seconds=1.5)
    async with service.client() as client, httpx.AsyncClient(base_url=service.url) as probe:
        in_flight = asyncio.create_task(client.post("/v1/orders", json=ORDER, headers={"x-request-id": request_id}))
        await eventually(lambda: orders_of(service))

        service.serve.process.send(signal.SIGTERM)
        unready = await eventually(lambda: unready_answer(probe))
        late = await client.get("/v1/orders")
        answer = await in_flight

    code = service.serve.process.wait(timeout_seconds=20)
    (line,) = await request_lines(service.serve, request_id)
    assert unready.json()["checks"]["process"]["detail"] == "draining"
    assert late.status_code == 200
    assert (answer.status_code, answer.json()["state"], line["status"]) == (201, "placed", 201)
    assert code == 0
    assert [line for line in service.serve.logs if line["level"] in {"error", "critical"}] == []


async def test_no_request_is_lost_while_a_load_balancer_looks_away(new_service: NewService) -> None:
    """Clients that come until /readyz says no are all answered, each on a connection of its own."""
    service = new_service(APP_HTTP__DRAIN_SECONDS="0.7")
    await service.start("serve")
    routed = asyncio.Event()
    routed.set()

    async def customer() -> list[int]:
        statuses = []
        while routed.is_set():
            async with service.client() as client:
                statuses.append((await client.post("/v1/orders", json=ORDER)).status_code)
        return statuses

    customers = [asyncio.create_task(customer()) for _ in range(4)]
    await eventually(lambda: len(service.serve.logged("http.request")) > 8)
    service.serve.process.send(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=service.url) as probe:
        await eventually(lambda: unready_answer(probe))
    routed.clear()
    answered = [status for statuses in await asyncio.gather(*customers) for status in statuses]

    assert service.serve.process.wait(timeout_seconds=20) == 0
    assert set(answered) == {201}
    assert len(service.serve.logged("http.request")) == len(answered)


async def test_request_that_outlasts_the_patience_is_settled_later(new_service: NewService) -> None:
    """A request still open after `shutdown_seconds` is told so, in one line of log; a worker settles its order."""
    service = new_service(
        APP_HTTP__SHUTDOWN_SECONDS="1", APP_PAYMENTS__TIMEOUT_SECONDS="60", APP_ORDERS__SETTLE_AFTER_SECONDS="0.3"
    )
    await service.start("serve")
    await service.set_faults(latency_seconds=50)
    async with service.client() as client:
        cut = asyncio.create_task(client.post("/v1/orders", json=ORDER))
        (order,) = await eventually(lambda: orders_of(service))

        code = await asyncio.to_thread(service.serve.terminate)
        answer, stopped = await cut, service.serve
        await service.set_faults()
        await service.start("serve", "worker")
        await service.in_state(client, order["id"], "placed", "order.placed")

    (line,) = await request_lines(stopped, answer.headers["x-request-id"])
    assert code == 0
    assert (answer.status_code, answer.json()["code"]) == (503, "server_stopping")
    assert (line["status"], line["error_code"]) == (503, "server_stopping")
    assert [line for line in stopped.logged("python.uvicorn") if "exception" in line] == []


async def test_worker_stops_in_the_middle_of_its_work(new_service: NewService) -> None:
    """A worker that is told to stop while events pour in ends with exit code 0, and the next one misses no event."""
    service = new_service()
    await service.start("serve", "worker")
    async with service.client() as client:
        placing = [asyncio.create_task(client.post("/v1/orders", json=ORDER)) for _ in range(40)]
        await eventually(lambda: service.worker.logged("inbox.message_handled"))

        code = await asyncio.to_thread(service.worker.terminate)
        first = service.worker
        order_ids = [(await answer).json()["id"] for answer in placing]
        await service.start("worker")
        for order_id in order_ids:
            await service.in_state(client, order_id, "placed", "order.placed")

    assert code == 0
    assert [line for line in first.logs if line["level"] in {"error", "critical"}] == []


async def orders_of(service: RunningService) -> list[dict[str, Any]]:
    """Return the orders that the API lists."""
    async with service.client() as client:
        orders: list[dict[str, Any]] = (await client.get("/v1/orders")).json()["orders"]
        return orders


async def unready_answer(probe: httpx.AsyncClient) -> httpx.Response | None:
    """Return the answer of /readyz once it says no."""
    answer = await probe.get("/readyz")
    return answer if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else None
