"""The SQL of orders. Each query names the tenant: there is no way to ask for everybody's orders by accident."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.orders.errors import OrderNotFound
from app.orders.models import Order, TimelineEntry

# SKIP LOCKED: workers share the open orders without waiting for each other. A lease is no change of the order:
# `version` stays, so a request that holds the order is not disturbed.
_LEASE_OPEN = text("""
    UPDATE orders
    SET settle_after = CAST(:now AS timestamptz) + least(
        greatest((CAST(:now AS timestamptz) - created_at) / 2, CAST(:shortest AS interval)), CAST(:longest AS interval)
    )
    WHERE id IN (
        SELECT id FROM orders WHERE settle_after <= :now ORDER BY settle_after LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING *
""")


async def get(session: AsyncSession, tenant: str, order_id: UUID, *, lock: bool = False) -> Order:
    """Return one order; with `lock`, nobody else changes it before this transaction ends.

    Raises:
        OrderNotFound: there is none, or it belongs to another tenant.
    """
    query = select(Order).where(Order.tenant_id == tenant, Order.id == order_id)
    order = await session.scalar(query.with_for_update() if lock else query)
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order


async def page(session: AsyncSession, tenant: str, *, before: UUID | None, limit: int) -> Sequence[Order]:
    """Return up to `limit` orders, newest first, those older than `before` if given.

    Ids are UUIDv7, so the primary key is the time: the page starts with an index lookup however deep it is.
    """
    query = select(Order).where(Order.tenant_id == tenant).order_by(Order.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Order.id < before)
    return (await session.scalars(query)).all()


async def lease_open(
    session: AsyncSession, *, now: datetime, shortest: timedelta, longest: timedelta, limit: int
) -> Sequence[Order]:
    """Take up to `limit` orders with open business at the provider, and hide each from other workers for half its age.

    The one query across tenants: the worker's.
    """
    lease = select(Order).from_statement(_LEASE_OPEN)
    return (await session.scalars(lease, {"now": now, "shortest": shortest, "longest": longest, "limit": limit})).all()


async def timeline(session: AsyncSession, tenant: str, order_id: UUID) -> Sequence[TimelineEntry]:
    """Return what happened to an order, oldest first."""
    query = select(TimelineEntry).where(TimelineEntry.tenant_id == tenant, TimelineEntry.order_id == order_id)
    return (await session.scalars(query.order_by(TimelineEntry.position))).all()


async def next_position(session: AsyncSession, tenant: str, order_id: UUID) -> int:
    """Return the first free place in an order's timeline."""
    last = select(func.max(TimelineEntry.position)).where(
        TimelineEntry.tenant_id == tenant, TimelineEntry.order_id == order_id
    )
    return (await session.scalar(last) or 0) + 1
