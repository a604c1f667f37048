"""What the service announces about customers."""

from app.customers.models import Customer
from app.patterns.outbox import Event

SOURCE = "/customers"
REGISTERED = "customer.registered"


def registered(customer: Customer) -> Event:
    """Return the event that says that `customer` is there."""
    return Event(
        type=REGISTERED,
        source=SOURCE,
        aggregate_id=str(customer.id),
        tenant=customer.tenant_id,
        time=customer.created_at,
        data={"customer_id": str(customer.id)},
    )
