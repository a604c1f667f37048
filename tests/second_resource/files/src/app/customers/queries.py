"""The SQL of customers. Each query names the tenant."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.customers.errors import CustomerNotFound
from app.customers.models import Customer


async def get(session: AsyncSession, tenant: str, customer_id: UUID) -> Customer:
    """Return one customer.

    Raises:
        CustomerNotFound: there is none, or it belongs to another tenant.
    """
    customer = await session.get(Customer, (tenant, customer_id))
    if customer is None:
        raise CustomerNotFound(f"There is no customer {customer_id}.")
    return customer
