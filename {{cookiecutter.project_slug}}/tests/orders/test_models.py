"""orders/models.py: the state machine."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.kit.ids import uuid7
from app.orders.errors import OrderStateConflict
from app.orders.models import Order, OrderState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS: dict[OrderState, Callable[[Order], None]] = {
    OrderState.PLACED: Order.place,
    OrderState.REFUSED: Order.refuse,
    OrderState.CANCELLED: lambda order: order.cancel(at=NOW),
}
PATHS: dict[OrderState, list[OrderState]] = {
    OrderState.PENDING: [],
    OrderState.PLACED: [OrderState.PLACED],
    OrderState.REFUSED: [OrderState.REFUSED],
    OrderState.CANCELLED: [OrderState.PLACED, OrderState.CANCELLED],
}
ALLOWED = {
    (OrderState.PENDING, OrderState.PLACED),
    (OrderState.PENDING, OrderState.REFUSED),
    (OrderState.PLACED, OrderState.CANCELLED),
}


def an_order(state: OrderState = OrderState.PENDING) -> Order:
    """Return an order that took the regular steps to `state`."""
    items = [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]
    order = Order.receive(uuid7(), tenant_id="acme", currency="EUR", items=items, at=NOW, settle_after=NOW)
    for step in PATHS[state]:
        STEPS[step](order)
    return order


@pytest.mark.parametrize("to", STEPS)
@pytest.mark.parametrize("start", PATHS)
def test_only_the_steps_of_the_state_machine_are_possible(start: OrderState, to: OrderState) -> None:
    """Each of the twelve steps is either allowed or refused with a conflict that changes nothing."""
    order = an_order(start)

    if (start, to) in ALLOWED:
        STEPS[to](order)
        assert order.state is to
    else:
        with pytest.raises(OrderStateConflict):
            STEPS[to](order)
        assert order.state is start


def test_the_state_cannot_be_assigned() -> None:
    """There is no way around the steps in Python; the database refuses it in SQL."""
    order = an_order()

    with pytest.raises(AttributeError):
        order.state = OrderState.CANCELLED  # type: ignore[misc]  # the point of the test


def test_the_total_is_the_sum_of_the_items_in_minor_units() -> None:
    """2 x 4.50 EUR + 1 x 1.99 EUR is 1099 cents, exactly."""
    items = [
        {"sku": "tea", "quantity": 2, "unit_price_minor": 450},
        {"sku": "cup", "quantity": 1, "unit_price_minor": 199},
    ]
    order = Order.receive(uuid7(), tenant_id="acme", currency="EUR", items=items, at=NOW, settle_after=NOW)

    assert order.total_minor == 1099
