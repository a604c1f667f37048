"""Metrics of orders; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter
from app.orders.models import OrderState

ORDERS_SETTLED = counter(
    "orders_settled_total",
    "Orders that reached this state.",
    {"state": (OrderState.PLACED, OrderState.REFUSED, OrderState.CANCELLED)},
)
SETTLEMENTS_POSTPONED = counter("orders_settlement_postponed_total", "Open orders that the provider left open again.")
