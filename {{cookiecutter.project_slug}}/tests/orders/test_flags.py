"""orders/flags.py: what each flag changes, and what it leaves alone, on both sides."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.context import Context, bind
from app.orders import flags
from app.orders.errors import OrdersStopped
from app.orders.models import OrderState
from app.orders.service import Orders, OrderSettings
from app.patterns.feature_flags import FixedFlags, Flags
from tests.support.orders import Provider, announced, place


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def orders_with(engine: AsyncEngine, provider: Provider, clock: ManualClock, features: Flags) -> Orders:
    return Orders(engine, provider, clock, OrderSettings(settle_after_seconds=10), features=features)


async def test_new_orders_are_taken_while_the_switch_is_off(
    engine: AsyncEngine, provider: Provider, clock: ManualClock
) -> None:
    """As they are without any flag server."""
    order = await place(orders_with(engine, provider, clock, FixedFlags({flags.NEW_ORDERS_STOPPED: False})))

    assert order.state is OrderState.PLACED


async def test_new_orders_are_refused_while_the_switch_is_on(
    engine: AsyncEngine, provider: Provider, clock: ManualClock
) -> None:
    """Nothing is written, nobody is asked for money, and the client knows when to come back."""
    stopped = orders_with(engine, provider, clock, FixedFlags({flags.NEW_ORDERS_STOPPED: True}))

    with pytest.raises(OrdersStopped) as raised:
        await place(stopped)

    with bind(Context(tenant="acme")):
        assert await stopped.page("acme", before=None, limit=10) == []
    assert (provider.asked, await announced(engine)) == ([], [])
    assert (raised.value.code, raised.value.retry_after_seconds) == ("orders_stopped", 60)


async def test_what_was_ordered_goes_on_while_the_switch_is_on(
    engine: AsyncEngine, provider: Provider, clock: ManualClock
) -> None:
    """It is shown, cancelled, and its payment released."""
    order = await place(orders_with(engine, provider, clock, FixedFlags()))
    stopped = orders_with(engine, provider, clock, FixedFlags({flags.NEW_ORDERS_STOPPED: True}))

    shown, _ = await stopped.get("acme", order.id)
    await stopped.cancel("acme", order.id)
    await stopped.settle_open(engine, limit=10)

    assert shown.id == order.id
    assert provider.released == [order.id]


async def test_the_provider_is_asked_in_the_request_while_the_flag_is_off(
    engine: AsyncEngine, provider: Provider, clock: ManualClock
) -> None:
    """The customer learns at once whether he has paid."""
    order = await place(orders_with(engine, provider, clock, FixedFlags({flags.PAID_IN_BACKGROUND: False})))

    assert (order.state, len(provider.asked)) == (OrderState.PLACED, 1)


async def test_the_worker_asks_the_provider_at_once_while_the_flag_is_on(
    engine: AsyncEngine, provider: Provider, clock: ManualClock
) -> None:
    """The request asks nobody, and the order need not wait to be found."""
    orders = orders_with(engine, provider, clock, FixedFlags({flags.PAID_IN_BACKGROUND: True}))

    order = await place(orders)
    asked_by_the_request = list(provider.asked)
    await orders.settle_open(engine, limit=10)

    assert (order.state, asked_by_the_request) == (OrderState.PENDING, [])
    assert provider.asked == [(order.id, 900, "EUR")]
    assert await announced(engine) == [("order.placed", str(order.id))]
