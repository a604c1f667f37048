"""The use cases of customers."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.customers import events, queries
from app.customers.models import Customer
from app.kit.clock import Clock
from app.kit.db import transaction
from app.kit.ids import uuid7
from app.patterns import outbox


class Customers:
    """What callers can do with customers."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def register(self, tenant: str, *, name: str) -> Customer:
        """Write the customer and announce it."""
        customer = Customer(tenant_id=tenant, id=uuid7(), name=name, created_at=self._clock.now())
        async with transaction(self._engine) as session:
            session.add(customer)
            await outbox.publish(session, events.registered(customer))
        return customer

    async def get(self, tenant: str, customer_id: UUID) -> Customer:
        """Return one customer.

        Raises:
            CustomerNotFound: there is none for this tenant.
        """
        async with transaction(self._engine) as session:
            return await queries.get(session, tenant, customer_id)
