"""One customer reaches for another's orders: by address, by cursor, by message."""

import base64
import json
from dataclasses import dataclass
from uuid import UUID, uuid4

import nats
import pytest

from app.kit.ids import uuid7
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService


@dataclass
class Victim:
    """A customer with an order."""

    tenant: str
    order_id: str


@pytest.fixture
async def victim(service: RunningService) -> Victim:
    """Return somebody whose order has been placed, and told."""
    tenant = f"victim-{uuid4().hex[:8]}"
    async with service.client(tenant=tenant) as client:
        order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        await service.in_state(client, order_id, "placed", "order.placed")
    return Victim(tenant, order_id)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel")], ids=["read", "cancel"])
async def test_somebody_elses_order_is_not_there(
    service: RunningService, victim: Victim, method: str, path: str
) -> None:
    """The answer is that of an order which does not exist, to the byte but for the ids."""
    nobodys = str(uuid7())
    async with service.client(tenant="attacker") as client:
        found = await client.request(method, f"/v1/orders/{victim.order_id}{path}")
        missing = await client.request(method, f"/v1/orders/{nobodys}{path}")

    assert (found.status_code, found.json()["code"]) == (404, "order_not_found")
    told = found.text.replace(victim.order_id, "ID").replace(found.headers["x-request-id"], "REQUEST")
    assert told == missing.text.replace(nobodys, "ID").replace(missing.headers["x-request-id"], "REQUEST")


@pytest.mark.parametrize("limit", [1, 100])
async def test_a_list_never_holds_somebody_elses_order(service: RunningService, victim: Victim, limit: int) -> None:
    """Whatever page is asked for, from a cursor of one's own or one that points at the other's order."""
    seen: set[str] = set()
    async with service.client(tenant="attacker") as client:
        await client.post("/v1/orders", json=ORDER)
        for cursor in (None, _cursor_at(victim.order_id), _cursor_at("ffffffff-ffff-7fff-bfff-ffffffffffff")):
            parameters = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            answer = await client.get("/v1/orders", params=parameters)
            seen |= {order["id"] for order in answer.json()["orders"]}

    assert seen
    assert victim.order_id not in seen


async def test_a_forged_event_writes_into_no_other_tenants_history(service: RunningService, victim: Victim) -> None:
    """An event of one tenant about another's order is taken for what it says it is: the attacker's own."""
    forged = {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": "/orders",
        "type": "order.cancelled",
        "subject": victim.order_id,
        "time": "2026-01-01T00:00:00Z",
        "tenant": "attacker",
        "data": {},
    }
    client = await nats.connect(service.addresses.broker_url)
    await client.jetstream().publish("events.order.cancelled", json.dumps(forged).encode())
    await client.close()
    await eventually(
        lambda: [line for line in service.worker.logged("inbox.message_handled") if line["event_id"] == forged["id"]]
    )

    async with service.client(tenant=victim.tenant) as owner:
        order = await service.order(owner, victim.order_id)

    assert order["state"] == "placed"
    assert [entry["type"] for entry in order["history"]] == ["order.placed"]


def _cursor_at(order_id: str) -> str:
    return base64.urlsafe_b64encode(UUID(order_id).bytes).decode().rstrip("=")
