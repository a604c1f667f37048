"""What goes over the wire."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from app.customers.models import Customer


class RegisterCustomer(BaseModel):
    """Somebody who wants to buy."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CustomerView(BaseModel):
    """A customer, as its tenant sees it."""

    id: UUID
    name: str

    @classmethod
    def of(cls, customer: Customer) -> "CustomerView":
        """Return the view of `customer`."""
        return cls.model_validate(customer, from_attributes=True)
