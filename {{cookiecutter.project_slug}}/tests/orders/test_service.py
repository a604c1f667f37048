"""orders/service.py: the use cases, on a real PostgreSQL, with a payment provider that does as it is told."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.db import transaction
from app.kit.ids import uuid7
from app.orders import events, queries
from app.orders.errors import OrderNotFound, OrderStateConflict
from app.orders.models import Order, OrderState
from app.orders.payments import Decision, PaymentsUnavailable
from app.orders.service import Orders, OrderSettings
from app.patterns import outbox
from tests.support.eventually import eventually

ITEMS = [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]


class Provider:
    """A payment provider in memory."""

    def __init__(self) -> None:
        self.decision: Decision | None = Decision.AUTHORISED
        """What it answers; None means that it is down."""
        self.asked: list[tuple[UUID, int, str]] = []
        self.released: list[UUID] = []

    async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
        self.asked.append((order_id, amount_minor, currency))
        if self.decision is None:
            raise PaymentsUnavailable("switched off by the test")
        return self.decision

    async def release(self, order_id: UUID) -> None:
        if self.decision is None:
            raise PaymentsUnavailable("switched off by the test")
        self.released.append(order_id)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def orders(engine: AsyncEngine, provider: Provider, clock: ManualClock) -> Orders:
    return Orders(engine, provider, clock, OrderSettings(settle_after_seconds=10, settle_max_seconds=300))


async def place(orders: Orders, tenant: str = "acme") -> Order:
    """Place the order of these tests."""
    return await orders.place(tenant, currency="EUR", items=ITEMS)


async def announced(engine: AsyncEngine) -> Sequence[tuple[str, str]]:
    """Return what waits in the outbox: event types and the orders they are about."""
    query = text("SELECT type, envelope->>'subject' FROM outbox ORDER BY id")
    async with engine.connect() as connection:
        return [(row[0], row[1]) for row in await connection.execute(query)]


async def test_an_authorised_order_is_placed_and_announced(
    engine: AsyncEngine, orders: Orders, provider: Provider
) -> None:
    """The happy path: the provider is asked for the total, and the event is in the outbox."""
    order = await place(orders)

    assert order.state is OrderState.PLACED
    assert provider.asked == [(order.id, 900, "EUR")]
    assert await announced(engine) == [("order.placed", str(order.id))]


async def test_a_refused_order_is_kept_as_refused(engine: AsyncEngine, orders: Orders, provider: Provider) -> None:
    """Nobody asks again, and the refusal is announced too."""
    provider.decision = Decision.REFUSED

    order = await place(orders)

    assert order.state is OrderState.REFUSED
    assert await announced(engine) == [("order.refused", str(order.id))]


async def test_with_the_provider_down_the_order_stays_open(
    engine: AsyncEngine, orders: Orders, provider: Provider
) -> None:
    """The customer's order is not lost, and nothing is announced that is not so."""
    provider.decision = None

    order = await place(orders)

    assert order.state is OrderState.PENDING
    assert await announced(engine) == []


async def test_the_worker_settles_an_open_order_when_the_provider_is_back(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """It asks with the same order id, so that the provider recognises a payment that it had made after all."""
    provider.decision = None
    order = await place(orders)
    provider.decision = Decision.AUTHORISED

    assert await orders.settle_open(limit=10) == 0, "the request's own try comes first"
    clock.advance(11)
    assert await orders.settle_open(limit=10) == 1

    settled, _ = await orders.get("acme", order.id)
    assert settled.state is OrderState.PLACED
    assert [asked[0] for asked in provider.asked] == [order.id, order.id]
    assert await announced(engine) == [("order.placed", str(order.id))]
    clock.advance(1000)
    assert await orders.settle_open(limit=10) == 0


async def test_an_order_that_stays_open_is_tried_less_and_less_often(
    orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """The pause is half its age, so a day of outage is no storm."""
    provider.decision = None
    await place(orders)
    tries = []
    for second in range(1, 201):
        clock.advance(1)
        if await orders.settle_open(limit=10):
            tries.append(second)

    assert tries == [10, 20, 30, 45, 68, 102, 153]


async def test_two_workers_do_not_take_the_same_order(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """An open order that one worker is about to lease is passed over by the next one, not waited for."""
    provider.decision = None
    await place(orders)
    clock.advance(11)
    lease_open = partial(
        queries.lease_open, now=clock.now(), shortest=timedelta(seconds=10), longest=timedelta(seconds=300), limit=10
    )

    async with transaction(engine) as first, transaction(engine) as second:
        assert len(await lease_open(first)) == 1
        async with asyncio.timeout(3):
            assert await lease_open(second) == []


async def test_a_request_and_a_worker_that_meet_settle_once(
    engine: AsyncEngine, orders: Orders, clock: ManualClock
) -> None:
    """The provider answers the request only after a worker has settled the order: nothing is announced twice."""

    class Slow(Provider):
        """Lets a worker pass while it thinks."""

        async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
            clock.advance(11)
            assert await orders.settle_open(limit=10) == 1
            return await super().authorise(order_id, amount_minor=amount_minor, currency=currency)

    order = await place(Orders(engine, Slow(), clock, OrderSettings()))

    assert order.state is OrderState.PLACED
    assert await announced(engine) == [("order.placed", str(order.id))]


async def test_a_placed_order_is_cancelled_once_and_its_payment_released(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """Cancelling again changes nothing; the worker tells the provider."""
    order = await place(orders)

    assert (await orders.cancel("acme", order.id)).state is OrderState.CANCELLED
    assert (await orders.cancel("acme", order.id)).state is OrderState.CANCELLED
    assert await orders.settle_open(limit=10) == 1

    assert provider.released == [order.id]
    assert [type_ for type_, _ in await announced(engine)] == ["order.placed", "order.cancelled"]
    clock.advance(1000)
    assert await orders.settle_open(limit=10) == 0


async def test_a_release_that_fails_is_tried_again(orders: Orders, provider: Provider, clock: ManualClock) -> None:
    """A cancelled customer's money is not forgotten because the provider was down."""
    order = await place(orders)
    await orders.cancel("acme", order.id)
    provider.decision = None
    await orders.settle_open(limit=10)
    provider.decision = Decision.AUTHORISED

    clock.advance(11)
    await orders.settle_open(limit=10)

    assert provider.released == [order.id]


async def test_an_open_order_cannot_be_cancelled(orders: Orders, provider: Provider) -> None:
    """Its payment may be under way; the customer is told to come back."""
    provider.decision = None
    order = await place(orders)

    with pytest.raises(OrderStateConflict):
        await orders.cancel("acme", order.id)


async def test_cancellations_that_meet_announce_once(engine: AsyncEngine, orders: Orders, clock: ManualClock) -> None:
    """The second one waits for the first, and sees its result."""
    order = await place(orders)

    async with transaction(engine) as session:
        first = await queries.get(session, "acme", order.id, lock=True)
        second = asyncio.create_task(orders.cancel("acme", order.id))
        await eventually(lambda: somebody_waits(engine))
        first.cancel(at=clock.now())
        await outbox.publish(session, events.of(first, at=clock.now()))

    assert (await second).state is OrderState.CANCELLED
    assert [type_ for type_, _ in await announced(engine)] == ["order.placed", "order.cancelled"]


async def somebody_waits(engine: AsyncEngine) -> bool:
    """Tell whether a session of this database waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with engine.connect() as connection:
        return bool(await connection.scalar(text(query)))


@pytest.mark.parametrize("action", ["get", "cancel"])
async def test_another_tenants_order_does_not_exist(orders: Orders, action: str) -> None:
    """Foreign and missing look the same."""
    order = await place(orders, "acme")

    for order_id in (order.id, uuid7()):
        with pytest.raises(OrderNotFound):
            await getattr(orders, action)("zeta", order_id)


async def test_pages_follow_each_other_newest_first(orders: Orders) -> None:
    """Each order is on exactly one page, and other tenants' orders on none."""
    placed = [(await place(orders)).id for _ in range(5)]
    await place(orders, "zeta")

    first = await orders.page("acme", before=None, limit=2)
    second = await orders.page("acme", before=first[-1].id, limit=2)
    third = await orders.page("acme", before=second[-1].id, limit=2)

    assert sorted((order.id for page in (first, second, third) for order in page), reverse=True) == sorted(
        placed, reverse=True
    )
    assert [len(page) for page in (first, second, third)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("sql", "allowed"),
    [
        ("UPDATE orders SET state = 'refused'", False),
        ("UPDATE orders SET state = 'pending'", False),
        ("UPDATE orders SET state = 'shipped'", False),
        ("UPDATE orders SET state = 'cancelled'", True),
        ("UPDATE orders SET settle_after = now()", True),
        (
            (
                "INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, version) "
                "SELECT gen_random_uuid(), tenant_id, 'placed', currency, total_minor, items, created_at, 1 FROM orders"
            ),
            False,
        ),
    ],
)
async def test_sql_cannot_go_around_the_state_machine(
    engine: AsyncEngine,
    orders: Orders,
    sql: str,
    allowed: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    """The database holds the same table of steps, for whoever comes with a statement."""
    await place(orders)

    async def run() -> Any:  # noqa: ANN401 - whatever the driver returns
        async with engine.begin() as connection:
            return await connection.execute(text(sql))

    if allowed:
        await run()
    else:
        with pytest.raises(IntegrityError, match=r"cannot become|starts as pending"):
            await run()


async def test_the_pause_between_transactions_holds_no_connection(engine: AsyncEngine, clock: ManualClock) -> None:
    """While the provider thinks, the pool is free."""
    checked_out = []

    class Watching(Provider):
        """Looks at the pool while it is asked."""

        async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
            checked_out.append(engine.pool.status())
            return await super().authorise(order_id, amount_minor=amount_minor, currency=currency)

    await Orders(engine, Watching(), clock, OrderSettings()).place("acme", currency="EUR", items=ITEMS)

    assert "Current Checked out connections: 0" in checked_out[0]


def test_settling_waits_for_the_requests_own_try() -> None:
    """By default the worker takes over well after the provider's time-out has ended the request's try."""
    from app.orders.payments import PaymentSettings  # noqa: PLC0415 - only here

    timeout = timedelta(seconds=PaymentSettings(url="http://payments").timeout_seconds)
    assert timedelta(seconds=OrderSettings().settle_after_seconds) > timeout
