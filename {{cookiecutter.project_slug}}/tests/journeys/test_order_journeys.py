"""What a customer goes through with an order, and what the payment provider and other tenants do meanwhile."""

from uuid import uuid4

import pytest

from app.kit.ids import random_hex, uuid7
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines

REFUSED = {"currency": "EUR", "items": [{"sku": "tea-1", "quantity": 1, "unit_price_minor": 1013}]}


@pytest.fixture
def tenant() -> str:
    """Return a tenant that no other test has heard of."""
    return f"tenant-{uuid4().hex[:8]}"


async def test_placed_order_can_be_read_and_is_authorised(service: RunningService, tenant: str) -> None:
    """Placing an order reserves its total at the provider, and the order is found where `Location` points."""
    async with service.client(tenant=tenant) as client:
        placed = await client.post("/v1/orders", json=ORDER)
        read = await client.get(placed.headers["location"])

    decision = (await service.authorisations())[placed.json()["id"]]
    assert (placed.status_code, placed.json()["state"], placed.json()["total_minor"]) == (201, "placed", 2500)
    assert read.json()["id"] == placed.json()["id"]
    assert (decision["status"], decision["amount_minor"], decision["currency"]) == ("authorised", 2500, "EUR")
    assert decision["request_id"] == placed.headers["x-request-id"]


async def test_refused_payment_is_a_402_and_the_order_is_kept(service: RunningService, tenant: str) -> None:
    """A refused payment is answered with a problem; the order stays as `refused`, and its event is told."""
    request_id = random_hex()
    async with service.client(tenant=tenant) as client:
        answer = await client.post("/v1/orders", json=REFUSED, headers={"x-request-id": request_id})
        (listed,) = (await client.get("/v1/orders")).json()["orders"]
        await service.in_state(client, listed["id"], "refused", "order.refused")

    (line,) = await request_lines(service.serve, request_id)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (402, "application/problem+json")
    assert (problem["code"], problem["status"], problem["request_id"]) == ("payment_refused", 402, request_id)
    assert (line["status"], line["error_code"], line["level"]) == (402, "payment_refused", "info")


async def test_order_waits_for_a_provider_that_is_down(service: RunningService, tenant: str) -> None:
    """With the provider down the answer is 202 and `pending`; once it is back, the worker settles the order."""
    await service.set_faults(down=True)
    async with service.client(tenant=tenant) as client:
        accepted = await client.post("/v1/orders", json=ORDER)
        order_id = accepted.json()["id"]
        unsettled = await service.order(client, order_id)
        postponed = await eventually(
            lambda: [line for line in service.worker.logged("orders.settlement_postponed") if order_id in str(line)]
        )

        await service.set_faults()
        await service.in_state(client, order_id, "placed", "order.placed")

    assert (accepted.status_code, accepted.json()["state"], unsettled["state"]) == (202, "pending", "pending")
    assert accepted.headers["location"] == f"/v1/orders/{order_id}"
    assert (postponed[0]["level"], postponed[0]["tenant"]) == ("warning", tenant)


async def test_settlement_is_one_trace(service: RunningService, tenant: str) -> None:
    """The worker's call to the provider, and the event that follows from it, belong to one trace."""
    await service.set_faults(down=True)
    async with service.client(tenant=tenant) as client:
        order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        await service.set_faults()
        await service.in_state(client, order_id, "placed", "order.placed")
    (handled,) = await eventually(
        lambda: [line for line in service.worker.logged("inbox.message_handled") if line["tenant"] == tenant]
    )

    settlement = await service.spans.span("settle order", trace_id=handled["trace_id"])
    call = await service.spans.span("POST /authorisations", trace_id=handled["trace_id"])
    consumer = await service.spans.span("process order.placed", trace_id=handled["trace_id"])

    assert (call.kind, call.parent_id, consumer.parent_id) == ("CLIENT", settlement.span_id, settlement.span_id)


@pytest.mark.parametrize(
    "fault", [{"reset_every": 1}, {"garbage_every": 1}, {"error_every": 1}], ids=["reset", "garbage", "error"]
)
async def test_order_survives_a_provider_that_fails(
    service: RunningService, tenant: str, fault: dict[str, int]
) -> None:
    """A provider that breaks off, talks nonsense or errs leaves the order pending, and it is authorised once."""
    await service.set_faults(**fault)
    async with service.client(tenant=tenant) as client:
        accepted = await client.post("/v1/orders", json=ORDER)

        await service.set_faults()
        await service.in_state(client, accepted.json()["id"], "placed", "order.placed")

    assert (accepted.status_code, accepted.json()["state"]) == (202, "pending")
    assert (await service.authorisations())[accepted.json()["id"]]["voided"] is False


async def test_cancel_releases_the_payment(service: RunningService, tenant: str) -> None:
    """Cancelling, twice for good measure, ends in one event and in a released payment."""
    async with service.client(tenant=tenant) as client:
        order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        first, again = [await client.post(f"/v1/orders/{order_id}/cancel") for _ in range(2)]
        await service.in_state(client, order_id, "cancelled", "order.placed", "order.cancelled")

    async def released() -> bool:
        return bool((await service.authorisations())[order_id]["voided"])

    assert await eventually(released)
    assert [first.json()["state"], again.json()["state"]] == ["cancelled", "cancelled"]
    assert (first.status_code, again.status_code) == (200, 200)


async def test_refused_order_cannot_be_cancelled(service: RunningService, tenant: str) -> None:
    """A step that the state machine does not have is a 409 with its own code."""
    async with service.client(tenant=tenant) as client:
        await client.post("/v1/orders", json=REFUSED)
        (order,) = (await client.get("/v1/orders")).json()["orders"]
        answer = await client.post(f"/v1/orders/{order['id']}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "order_state_conflict")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel")], ids=["get", "cancel"])
async def test_order_of_another_tenant_looks_like_none(service: RunningService, method: str, path: str) -> None:
    """Whether an id belongs to somebody else or to nobody cannot be told from the answer."""
    async with service.client(tenant="acme") as owner:
        theirs = (await owner.post("/v1/orders", json=ORDER)).json()["id"]
    nobodys = str(uuid7())

    async with service.client(tenant="globex") as stranger:
        answers = [await stranger.request(method, f"/v1/orders/{order_id}{path}") for order_id in (theirs, nobodys)]

    for_theirs, for_nobodys = [
        {**answer.json(), "request_id": "", "detail": answer.json()["detail"].replace(order_id, "ID")}
        for answer, order_id in zip(answers, (theirs, nobodys), strict=True)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert for_theirs == for_nobodys
    assert for_theirs["code"] == "order_not_found"


async def test_list_shows_only_the_own_tenants_orders(service: RunningService, tenant: str) -> None:
    """Two tenants see two lists, and a cursor of one shows the other nothing of it."""
    async with service.client(tenant=tenant) as client, service.client(tenant=f"{tenant}-b") as other:
        mine = [(await client.post("/v1/orders", json=ORDER)).json()["id"] for _ in range(2)]
        cursor = (await client.get("/v1/orders", params={"limit": 1})).json()["next_cursor"]

        listed = (await client.get("/v1/orders")).json()["orders"]
        others = (await other.get("/v1/orders")).json()["orders"]
        with_stolen_cursor = (await other.get("/v1/orders", params={"cursor": cursor})).json()["orders"]

    assert [order["id"] for order in listed] == sorted(mine, reverse=True)
    assert (others, with_stolen_cursor) == ([], [])


async def test_pages_show_each_order_once_newest_first(service: RunningService, tenant: str) -> None:
    """Walking the pages shows every order exactly once, although new ones come in between; the last has no cursor."""
    async with service.client(tenant=tenant) as client:
        placed = [(await client.post("/v1/orders", json=ORDER)).json()["id"] for _ in range(5)]

        pages = [(await client.get("/v1/orders", params={"limit": 2})).json()]
        await client.post("/v1/orders", json=ORDER)
        while cursor := pages[-1]["next_cursor"]:
            pages.append((await client.get("/v1/orders", params={"limit": 2, "cursor": cursor})).json())

    assert [len(page["orders"]) for page in pages] == [2, 2, 1]
    assert [order["id"] for page in pages for order in page["orders"]] == sorted(placed, reverse=True)
