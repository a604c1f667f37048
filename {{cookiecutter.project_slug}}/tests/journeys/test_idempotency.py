"""Clients that send the same thing twice: at once, after a crash, after a restart, under somebody else's key."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx
import pytest

from app.kit.ids import random_hex
from dev.ports import free_port
from dev.postgres import PostgreSQL
from tests.journeys.conftest import NewService
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines, service_process

REFUSED = {"currency": "EUR", "items": [{"sku": "tea-1", "quantity": 1, "unit_price_minor": 1013}]}
OTHER = {"currency": "EUR", "items": [{"sku": "tea-2", "quantity": 1, "unit_price_minor": 100}]}
AT_ONCE = 50


@pytest.fixture
def tenant() -> str:
    """Return a tenant that no other test has heard of."""
    return f"tenant-{uuid4().hex[:8]}"


@pytest.fixture
def key() -> str:
    """Return a key that was never used."""
    return str(uuid4())


async def place(client: httpx.AsyncClient, key: str, body: object = ORDER) -> httpx.Response:
    """Place an order under a key."""
    return await client.post("/v1/orders", json=body, headers={"Idempotency-Key": key})


async def placed_in_the_end(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Send the order again and again, as clients do, until the first one has its final answer."""

    async def answered() -> httpx.Response | None:
        answer = await place(client, key)
        assert answer.status_code in {201, 202, 409}, answer.text
        return answer if answer.status_code == httpx.codes.CREATED else None

    return await eventually(answered)


async def orders_of(client: httpx.AsyncClient) -> list[str]:
    """Return the ids of the tenant's orders."""
    return [order["id"] for order in (await client.get("/v1/orders")).json()["orders"]]


async def send_at_once(urls: list[str], service: RunningService, tenant: str, key: str) -> list[httpx.Response]:
    """Send the same order many times at once, each over a connection of its own, to all `urls` in turn."""
    headers = {"Authorization": f"Bearer {service.token(tenant=tenant)}", "Idempotency-Key": key}

    async def send(number: int) -> httpx.Response:
        async with httpx.AsyncClient(base_url=urls[number % len(urls)], timeout=30) as client:
            return await client.post("/v1/orders", json=ORDER, headers=headers)

    return await asyncio.gather(*map(send, range(AT_ONCE)))


@pytest.mark.parametrize("processes", [1, 2], ids=["one process", "two processes"])
async def test_fifty_equal_requests_at_once_make_one_order(
    service: RunningService, tenant: str, key: str, processes: int
) -> None:
    """One is worked on, the others get its answer or 409; sent again, all have the same, and one event is told."""
    urls = [service.url]
    if processes == 2:
        port = free_port()
        second = service.processes["second"] = service_process("serve", {**service.env, "APP_HTTP__PORT": str(port)})
        second.start()
        urls.append(f"http://127.0.0.1:{port}")
        await second.wait_until_ready(f"{urls[-1]}/readyz", within_seconds=60)
    await service.set_faults(latency_seconds=0.5)  # while the first one waits, others come
    answers = await send_at_once(urls, service, tenant, key)
    await service.set_faults()

    async with service.client(tenant=tenant) as client:
        again = await send_at_once(urls, service, tenant, key)
        (order_id,) = await orders_of(client)
        await service.in_state(client, order_id, "placed", "order.placed")

    waiting = [answer for answer in answers if answer.status_code == httpx.codes.CONFLICT]
    done = [answer for answer in answers if answer not in waiting] + again
    assert Counter(answer.status_code for answer in again) == {201: AT_ONCE}
    assert len({(answer.status_code, answer.headers["location"], answer.content) for answer in done}) == 1
    assert Counter("idempotent-replayed" in answer.headers for answer in done)[False] == 1
    assert {(answer.json()["code"], answer.headers["retry-after"]) for answer in waiting} == {
        ("idempotency_request_in_flight", "1")
    }
    assert [one for one, of in (await service.authorisations()).items() if of["reference"] == order_id] == [order_id]


async def test_a_server_killed_between_its_transactions_leaves_one_order(
    new_service: NewService, postgres: PostgreSQL, tenant: str, key: str
) -> None:
    """A retry first waits, then learns of the order that is pending, and in the end that it is placed."""
    settings = {"APP_ORDERS__SETTLE_AFTER_SECONDS": "0.3", "APP_IDEMPOTENCY__IN_FLIGHT_SECONDS": "1"}
    service = new_service(**settings)
    await service.start("serve")
    await service.set_faults(latency_seconds=300)
    async with service.client(tenant=tenant) as client:
        lost = asyncio.create_task(place(client, key))
        count = "SELECT count(*) FROM orders"
        await eventually(lambda: postgres.execute(count, database=service.database) == "1")
        service.serve.kill()
        with pytest.raises(httpx.TransportError):
            await lost

    await service.start("serve")
    async with service.client(tenant=tenant) as client:
        (order_id,) = await orders_of(client)
        pending = await eventually(lambda: answered(client, key))
        mismatch = await place(client, key, OTHER)
        await service.set_faults()
        await service.start("worker")
        final = await placed_in_the_end(client, key)
        replay = await place(client, key)
        await service.in_state(client, order_id, "placed", "order.placed")
        orders = await orders_of(client)

    assert (pending.status_code, pending.json()["id"], pending.json()["state"]) == (202, order_id, "pending")
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_key_reused")
    assert (final.json()["id"], final.json()["state"]) == (order_id, "placed")
    assert (replay.content, replay.headers["idempotent-replayed"]) == (final.content, "true")
    assert orders == [order_id]


async def answered(client: httpx.AsyncClient, key: str) -> httpx.Response | None:
    """Send the order again; return the answer unless it is that the first one is worked on."""
    answer = await place(client, key)
    return None if answer.status_code == httpx.codes.CONFLICT else answer


async def test_an_answer_outlives_the_server(new_service: NewService, tenant: str, key: str) -> None:
    """After a restart the answer is the same, byte for byte, says that it is a replay, and is in log and metrics."""
    service = new_service()
    await service.start("serve")
    async with service.client(tenant=tenant) as client:
        first = await place(client, key)
    service.serve.terminate()
    await service.start("serve")
    request_id = random_hex()
    async with service.client(tenant=tenant) as client:
        headers = {"Idempotency-Key": f'"{key}"', "x-request-id": request_id}
        again = await client.post("/v1/orders", json=ORDER, headers=headers)

    (line,) = await request_lines(service.serve, request_id)
    counted = {
        sample.labels["outcome"]: sample.value
        for sample in await service.samples()
        if sample.name == "idempotency_requests_total"
    }
    assert (first.status_code, "idempotent-replayed" in first.headers) == (201, False)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert [answer.headers["content-type"] for answer in (first, again)] == ["application/json"] * 2
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    assert again.headers["x-request-id"] == request_id
    assert (line["idempotency"], line["status"]) == ("replayed", 201)
    assert counted == {"new": 0, "replayed": 1, "in_flight": 0, "mismatch": 0, "resumed": 0}


async def test_a_refusal_is_an_answer_too(service: RunningService, tenant: str, key: str) -> None:
    """A payment that was refused is not tried again under the same key; the log knows the code each time."""
    request_id = random_hex()
    async with service.client(tenant=tenant) as client:
        first = await place(client, key, REFUSED)
        headers = {"Idempotency-Key": key, "x-request-id": request_id}
        again = await client.post("/v1/orders", json=REFUSED, headers=headers)
        orders = await orders_of(client)

    (line,) = await request_lines(service.serve, request_id)
    assert (first.status_code, again.status_code, len(orders)) == (402, 402, 1)
    assert (again.content, again.headers["content-type"]) == (first.content, "application/problem+json")
    assert (line["error_code"], line["idempotency"]) == ("payment_refused", "replayed")


async def test_an_open_order_is_no_final_answer(service: RunningService, tenant: str, key: str) -> None:
    """202 says that the order is pending; the same request later says what became of it."""
    await service.set_faults(down=True)
    async with service.client(tenant=tenant) as client:
        open_answers = [await place(client, key) for _ in range(2)]
        await service.set_faults()
        final = await placed_in_the_end(client, key)
        orders = await orders_of(client)

    assert [answer.status_code for answer in open_answers] == [202, 202]
    assert orders == [final.json()["id"]] == [open_answers[0].json()["id"]] == [open_answers[1].json()["id"]]


async def test_a_request_that_was_never_begun_leaves_its_key_free(
    service: RunningService, tenant: str, key: str
) -> None:
    """What was refused for its content may be corrected and sent under the same key."""
    async with service.client(tenant=tenant) as client:
        wrong = await place(client, key, {**ORDER, "currency": "no money"})
        right = await place(client, key)

    assert (wrong.status_code, right.status_code) == (422, 201)


async def test_a_key_is_for_one_content(service: RunningService, tenant: str, key: str) -> None:
    """Another order under the same key is refused; the same one, written differently, is not."""
    spelled = '{ "items": [{"unit_price_minor": 1250.0, "quantity": 2, "sku": "tea-1"}],\n"currency": "EUR"}'
    async with service.client(tenant=tenant) as client:
        first = await place(client, key)
        other = await place(client, key, OTHER)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        same = await client.post("/v1/orders", content=spelled, headers=headers)
        orders = await orders_of(client)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (same.status_code, same.content) == (201, first.content)
    assert len(orders) == 1


async def test_a_key_is_its_callers_own(service: RunningService, tenant: str, key: str) -> None:
    """The same key of another tenant, or of another caller of the tenant, is another key."""
    token = service.issuer.mint(tenant=tenant, actor="customer-8", scope="orders:read orders:write")
    async with service.client(tenant=tenant) as client, service.client(tenant=f"{tenant}-2") as stranger:
        answers = [await place(client, key), await place(stranger, key)]
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {token}"}
        answers.append(await client.post("/v1/orders", json=OTHER, headers=headers))

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_a_cancellation_takes_a_key(service: RunningService, tenant: str, key: str) -> None:
    """Replayed like an order; the key of one order's cancellation is not for another's, and one of orders is free."""
    headers = {"Idempotency-Key": key}
    async with service.client(tenant=tenant) as client:
        one, two = [(await client.post("/v1/orders", json=ORDER)).json()["id"] for _ in range(2)]
        first, again = [await client.post(f"/v1/orders/{one}/cancel", headers=headers) for _ in range(2)]
        other = await client.post(f"/v1/orders/{two}/cancel", headers=headers)
        placed = await place(client, key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["state"], again.content) == ("cancelled", first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert placed.status_code == 201
