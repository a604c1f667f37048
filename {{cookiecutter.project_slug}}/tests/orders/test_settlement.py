"""Settlement: what the payment provider left open is finished by the worker, once, and without a storm."""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.db import transaction
from app.orders import queries
from app.orders.models import OrderState
from app.orders.payments import Decision, PaymentSettings
from app.orders.service import Orders, OrderSettings
from tests.support.orders import Provider, announced, place


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def orders(engine: AsyncEngine, provider: Provider, clock: ManualClock) -> Orders:
    return Orders(engine, provider, clock, OrderSettings(settle_after_seconds=10, settle_max_seconds=300))


async def test_the_worker_settles_an_open_order_when_the_provider_is_back(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """It asks with the same order id, so that the provider recognises a payment that it had made after all."""
    provider.decision = None
    order = await place(orders)
    provider.decision = Decision.AUTHORISED

    assert await orders.settle_open(engine, limit=10) == 0, "the request's own try comes first"
    clock.advance(11)
    assert await orders.settle_open(engine, limit=10) == 1

    settled, _ = await orders.get("acme", order.id)
    assert settled.state is OrderState.PLACED
    assert [asked[0] for asked in provider.asked] == [order.id, order.id]
    assert await announced(engine) == [("order.placed", str(order.id))]
    clock.advance(1000)
    assert await orders.settle_open(engine, limit=10) == 0


async def test_an_order_that_stays_open_is_tried_less_and_less_often(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """The pause is half its age, so a day of outage is no storm."""
    provider.decision = None
    await place(orders)
    tries = []
    for second in range(1, 201):
        clock.advance(1)
        if await orders.settle_open(engine, limit=10):
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
            assert await orders.settle_open(engine, limit=10) == 1
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
    assert await orders.settle_open(engine, limit=10) == 1

    assert provider.released == [order.id]
    assert [type_ for type_, _ in await announced(engine)] == ["order.placed", "order.cancelled"]
    clock.advance(1000)
    assert await orders.settle_open(engine, limit=10) == 0


async def test_a_release_that_fails_is_tried_again(
    engine: AsyncEngine, orders: Orders, provider: Provider, clock: ManualClock
) -> None:
    """A cancelled customer's money is not forgotten because the provider was down."""
    order = await place(orders)
    await orders.cancel("acme", order.id)
    provider.decision = None
    await orders.settle_open(engine, limit=10)
    provider.decision = Decision.AUTHORISED

    clock.advance(11)
    await orders.settle_open(engine, limit=10)

    assert provider.released == [order.id]


def test_settling_waits_for_the_requests_own_try() -> None:
    """By default the worker takes over well after the provider's time-out has ended the request's try."""
    timeout = timedelta(seconds=PaymentSettings(url="http://payments").timeout_seconds)
    assert timedelta(seconds=OrderSettings().settle_after_seconds) > timeout
