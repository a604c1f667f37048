"""The HTTP face of orders: translate, call the service, translate back."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.kit import problems
from app.orders.errors import PaymentRefused
from app.orders.models import OrderState
from app.orders.schemas import (
    CURSOR_PATTERN,
    OrderDetail,
    OrderPage,
    OrderView,
    PlaceOrder,
    decode_cursor,
    encode_cursor,
)
from app.orders.service import Orders
from app.patterns.authentication import requires
from app.patterns.tenancy import require_tenant


def _orders(request: Request) -> Orders:
    service = request.app.state.orders
    assert isinstance(service, Orders)
    return service


_Orders = Annotated[Orders, Depends(_orders)]
_Tenant = Annotated[str, Depends(require_tenant)]

# What any route may answer; what single ones add stands with them.
_REFUSALS = problems.described(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)

router = APIRouter(prefix="/orders", tags=["orders"], responses=_REFUSALS)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.ACCEPTED: {"model": OrderView, "description": "The payment provider has not answered yet"},
        **problems.described(HTTPStatus.BAD_REQUEST, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    },
    dependencies=[Depends(requires("orders:write"))],
)
async def place(order: PlaceOrder, response: Response, orders: _Orders, tenant: _Tenant) -> OrderView:
    """Place an order and pay it. 202 if the payment provider has not answered yet: the order is settled later."""
    items = [item.model_dump() for item in order.items]
    placed = await orders.place(tenant, currency=order.currency, items=items)
    response.headers["Location"] = f"/v1/orders/{placed.id}"
    match placed.state:
        case OrderState.REFUSED:
            raise PaymentRefused(f"The payment provider refused order {placed.id}.")
        case OrderState.PENDING:
            response.status_code = HTTPStatus.ACCEPTED
    return OrderView.of(placed)


@router.get("", dependencies=[Depends(requires("orders:read"))])
async def list_page(
    orders: _Orders,
    tenant: _Tenant,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    # Described, not enforced here: `decode_cursor` refuses the rest under a code of its own.
    cursor: Annotated[str | None, Query(json_schema_extra={"pattern": CURSOR_PATTERN})] = None,
) -> OrderPage:
    """List the tenant's orders, newest first."""
    before = decode_cursor(cursor) if cursor is not None else None
    found = await orders.page(tenant, before=before, limit=limit + 1)  # one more tells whether there is a next page
    shown = found[:limit]
    next_cursor = encode_cursor(shown[-1]) if len(found) > limit else None
    return OrderPage(orders=[OrderView.of(order) for order in shown], next_cursor=next_cursor)


@router.get(
    "/{order_id}", responses=problems.described(HTTPStatus.NOT_FOUND), dependencies=[Depends(requires("orders:read"))]
)
async def get(order_id: UUID, orders: _Orders, tenant: _Tenant) -> OrderDetail:
    """Return one order and its history."""
    order, entries = await orders.get(tenant, order_id)
    return OrderDetail.with_history(order, entries)


@router.post(
    "/{order_id}/cancel",
    responses=problems.described(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    dependencies=[Depends(requires("orders:write"))],
)
async def cancel(order_id: UUID, orders: _Orders, tenant: _Tenant) -> OrderView:
    """Cancel a placed order and release its payment. Cancelling it again changes nothing."""
    return OrderView.of(await orders.cancel(tenant, order_id))
