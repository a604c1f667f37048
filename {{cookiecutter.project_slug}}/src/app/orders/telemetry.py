"""Metrics of orders; each name is spelled here and nowhere else in the code."""

from prometheus_client import Counter

from app.orders.models import OrderState

ORDERS_SETTLED = Counter("orders_settled_total", "Orders that reached this state.", ["state"])
SETTLEMENTS_POSTPONED = Counter("orders_settlement_postponed_total", "Open orders that the provider left open again.")

for _state in (OrderState.PLACED, OrderState.REFUSED, OrderState.CANCELLED):
    ORDERS_SETTLED.labels(_state)
