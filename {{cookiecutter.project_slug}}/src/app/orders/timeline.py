"""The consumer of the service's own events: writes down, per order, what happened and in which order."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.orders import queries
from app.orders.models import TimelineEntry
from app.patterns.inbox import ReceivedEvent

CONSUMER = "order-timeline"


async def append(session: AsyncSession, event: ReceivedEvent) -> None:
    """Append `event` to its order's timeline, in the inbox's transaction."""
    order_id = UUID(event.subject)
    session.add(
        TimelineEntry(
            tenant_id=event.tenant,
            order_id=order_id,
            position=await queries.next_position(session, event.tenant, order_id),
            event_id=event.id,
            type=event.type,
            occurred_at=event.time,
        )
    )
