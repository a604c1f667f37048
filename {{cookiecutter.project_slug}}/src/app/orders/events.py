"""What the service announces about orders. Types and data are an API: consumers we do not know read them."""

from datetime import datetime

from app.orders.models import Order, OrderState
from app.patterns.outbox import Event

SOURCE = "/orders"
PLACED = "order.placed"
REFUSED = "order.refused"
CANCELLED = "order.cancelled"

_TYPE_BY_STATE = {
    OrderState.PLACED: PLACED,
    OrderState.REFUSED: REFUSED,
    OrderState.CANCELLED: CANCELLED,
}


def of(order: Order, *, at: datetime) -> Event:
    """Return the event that says which state `order` has just reached."""
    return Event(
        type=_TYPE_BY_STATE[order.state],
        source=SOURCE,
        aggregate_id=str(order.id),
        tenant=order.tenant_id,
        time=at,
        data={
            "order_id": str(order.id),
            "state": order.state,
            "currency": order.currency,
            "total_minor": order.total_minor,
        },
    )
