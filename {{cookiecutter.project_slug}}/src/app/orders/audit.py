"""What the audit log says about orders: who took which step, and digests of the order before and after it."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.orders.models import Order
from app.patterns import audit_log

RELEASED = "order.payment_released"
_State = dict[str, object]


def state_of(order: Order) -> _State:
    """Return what `order` is like: what its row holds, so that a later reader can compute the same digest."""
    return {
        "id": str(order.id),
        "tenant_id": order.tenant_id,
        "state": order.state,
        "currency": order.currency,
        "total_minor": order.total_minor,
        "items": order.items,
        "created_at": order.created_at.isoformat(),
        "settled": order.settle_after is None,  # not when it is tried again: that moves with each try
    }


async def record(session: AsyncSession, action: str, order: Order, *, before: _State) -> None:
    """Write down the step that `order` has just taken, in the transaction of that step."""
    await audit_log.record(
        session,
        tenant=order.tenant_id,
        action=action,
        resource_type="order",
        resource_id=str(order.id),
        before=before,
        after=state_of(order),
    )
