"""The HTTP face of customers."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.customers.schemas import CustomerView, RegisterCustomer
from app.customers.service import Customers
from app.kit import problems
from app.patterns.authentication import requires
from app.patterns.tenancy import require_tenant


def _customers(request: Request) -> Customers:
    service = request.app.state.customers
    assert isinstance(service, Customers)
    return service


_Customers = Annotated[Customers, Depends(_customers)]
_Tenant = Annotated[str, Depends(require_tenant)]

_REFUSALS = problems.described(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)

router = APIRouter(prefix="/customers", tags=["customers"], responses=_REFUSALS)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=problems.described(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    dependencies=[Depends(requires("customers:write"))],
)
async def register(
    customer: RegisterCustomer, response: Response, customers: _Customers, tenant: _Tenant
) -> CustomerView:
    """Register a customer."""
    registered = await customers.register(tenant, name=customer.name)
    response.headers["Location"] = f"/v1/customers/{registered.id}"
    return CustomerView.of(registered)


@router.get(
    "/{customer_id}",
    responses=problems.described(HTTPStatus.NOT_FOUND),
    dependencies=[Depends(requires("customers:read"))],
)
async def get(customer_id: UUID, customers: _Customers, tenant: _Tenant) -> CustomerView:
    """Return one customer."""
    return CustomerView.of(await customers.get(tenant, customer_id))
