"""What the tests of orders have in common: a payment provider that does as it is told, and a look at the outbox."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.orders.models import Order
from app.orders.payments import Decision, PaymentsUnavailable
from app.orders.service import Orders

ITEMS = [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]


class Provider:
    """A payment provider in memory."""

    def __init__(self) -> None:
        self.decision: Decision | None = Decision.AUTHORISED
        """What it answers; None means that it is down."""
        self.asked: list[tuple[UUID, int, str]] = []
        self.released: list[UUID] = []

    async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
        self.asked.append((order_id, amount_minor, currency))
        if self.decision is None:
            raise PaymentsUnavailable("switched off by the test")
        return self.decision

    async def release(self, order_id: UUID) -> None:
        if self.decision is None:
            raise PaymentsUnavailable("switched off by the test")
        self.released.append(order_id)


async def place(orders: Orders, tenant: str = "acme") -> Order:
    """Place the order of these tests."""
    return await orders.place(tenant, currency="EUR", items=ITEMS)


async def announced(engine: AsyncEngine) -> Sequence[tuple[str, str]]:
    """Return what waits in the outbox: event types and the orders they are about."""
    query = text("SELECT type, envelope->>'subject' FROM outbox ORDER BY id")
    async with engine.connect() as connection:
        return [(row[0], row[1]) for row in await connection.execute(query)]
