"""What clients do all day, as a fixed mix: the requests that the telemetry budget is measured with."""

import httpx

from app.kit.ids import uuid7
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService

REQUESTS_PER_ROUND = 10
_EVENTS_PER_ROUND = 4  # three orders are placed, one of them is cancelled


async def send(service: RunningService, *, rounds: int) -> None:
    """Send `rounds` times the mix, and return when the worker has handled all events and released all payments."""
    handled = len(service.worker.logged("inbox.message_handled")) + rounds * _EVENTS_PER_ROUND
    async with service.client() as client:
        cancelled = [await _round(client) for _ in range(rounds)]

    async def released() -> bool:
        decisions = await service.authorisations()
        return all(decisions[order_id]["voided"] for order_id in cancelled)

    await eventually(lambda: len(service.worker.logged("inbox.message_handled")) >= handled, within_seconds=60)
    await eventually(released, within_seconds=60)


async def _round(client: httpx.AsyncClient) -> str:
    """Send the mix once, and return the id of the order that was cancelled."""
    placed = [(await client.post("/v1/orders", json=ORDER)).json()["id"] for _ in range(3)]
    answers = [await client.get(f"/v1/orders/{order_id}") for order_id in placed]
    answers.append(await client.get("/v1/orders"))
    answers.append(await client.post(f"/v1/orders/{placed[0]}/cancel"))
    answers.append(await client.get(f"/v1/orders/{uuid7()}"))
    answers.append(await client.post("/v1/orders", json={**ORDER, "currency": "no money"}))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 404, 422]
    return str(placed[0])
