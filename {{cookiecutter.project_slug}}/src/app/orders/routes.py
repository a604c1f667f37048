"""The HTTP face of orders: translate, call the service, translate back."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.kit import problems
from app.orders.errors import PaymentRefused
from app.orders.models import Order, OrderState
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
from app.patterns.idempotency import DESCRIBED, Attempt, attempt
from app.patterns.tenancy import require_tenant


def _orders(request: Request) -> Orders:
    service = request.app.state.orders
    assert isinstance(service, Orders)
    return service


_Orders = Annotated[Orders, Depends(_orders)]
_Tenant = Annotated[str, Depends(require_tenant)]
_Attempt = Annotated[Attempt, Depends(attempt)]

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
        **problems.described(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.PAYMENT_REQUIRED,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
    },
    response_model=OrderView,
    openapi_extra=DESCRIBED,
    dependencies=[Depends(requires("orders:write"))],
)
async def place(order: PlaceOrder, orders: _Orders, tenant: _Tenant, attempt: _Attempt) -> Response:
    """Place an order and pay it. 202 if the payment provider has not answered yet: the order is settled later."""
    items = [item.model_dump() for item in order.items]
    return await attempt.answer(
        lambda once: orders.place(tenant, currency=order.currency, items=items, once=once), _placed
    )


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
    responses=problems.described(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    response_model=OrderView,
    openapi_extra=DESCRIBED,
    dependencies=[Depends(requires("orders:write"))],
)
async def cancel(order_id: UUID, orders: _Orders, tenant: _Tenant, attempt: _Attempt) -> Response:
    """Cancel a placed order and release its payment. Cancelling it again changes nothing."""
    return await attempt.answer(lambda once: orders.cancel(tenant, order_id, once=once), _shown)


def _placed(order: Order) -> Response:
    match order.state:
        case OrderState.REFUSED:
            raise PaymentRefused(f"The payment provider refused order {order.id}.")
        case OrderState.PENDING:
            response = _shown(order, HTTPStatus.ACCEPTED)
        case _:
            response = _shown(order, HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/orders/{order.id}"
    return response


def _shown(order: Order, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(OrderView.of(order).model_dump_json(), status, media_type="application/json")
