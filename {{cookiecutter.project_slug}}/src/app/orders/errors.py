"""What can go wrong with an order.

NotFound
└── OrderNotFound
Conflict
└── OrderStateConflict   the state machine has no such step
Invalid
└── InvalidCursor        the page token was not made by this API
Forbidden
└── PaymentRefused       the provider said no; the order is kept as `refused`
Unavailable
└── OrdersStopped        whoever operates the service has stopped new orders
"""

from app.kit.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class OrderNotFound(NotFound):
    """No such order for this tenant."""

    code = "order_not_found"
    title = "Order not found"


class OrderStateConflict(Conflict):
    """The order's state does not allow this step."""

    code = "order_state_conflict"
    title = "The order's state does not allow this"


class InvalidCursor(Invalid):
    """The cursor was not handed out by this API."""

    code = "invalid_cursor"
    title = "Invalid cursor"


class PaymentRefused(Forbidden):
    """The payment provider refused; asking again with the same order will not help."""

    code = "payment_refused"
    title = "Payment refused"


class OrdersStopped(Unavailable):
    """New orders are refused by a switch that was thrown on purpose; nothing was written."""

    code = "orders_stopped"
    title = "New orders are stopped"
