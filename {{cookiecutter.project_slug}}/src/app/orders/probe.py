"""What a customer does, for `app probe`: as an outsider, who knows the API and nothing of the code behind it."""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

import httpx
from pydantic import BaseModel

from app.kit.ids import uuid7
from app.patterns.synthetic_journey import ClientCredentials, Reason, Step, StepFailed, expect

SKU = "synthetic-journey"
"""What the probe buys, and how it knows its own orders: in a tenant by mistake, it leaves those of others alone."""
_TOTAL_MINOR = 100
_ORDER = {"currency": "EUR", "items": [{"sku": SKU, "quantity": 1, "unit_price_minor": _TOTAL_MINOR}]}
_READ_AFTER = "x-read-after"  # where there are replicas, it leads the next read to one that has this write


class _Item(BaseModel):
    sku: str


class _Order(BaseModel):
    id: UUID
    state: str
    total_minor: int
    items: list[_Item]

    @property
    def is_ours(self) -> bool:
        return [item.sku for item in self.items] == [SKU]


class _Page(BaseModel):
    orders: list[_Order]
    next_cursor: str | None


def steps(client: httpx.AsyncClient, credentials: ClientCredentials) -> Sequence[Step]:
    """Return the steps of one customer; `client` knows the API's address."""
    customer = _Customer(client, credentials)
    return [
        Step("login", customer.log_in),
        Step("buy", customer.buy),
        Step("read", customer.read),
        Step("cancel", customer.cancel),
        Step("clean-up", customer.clean_up, always=True),
    ]


class _Customer:
    def __init__(self, client: httpx.AsyncClient, credentials: ClientCredentials) -> None:
        self._client = client
        self._credentials = credentials
        self._headers: dict[str, str] = {}
        self._order_id = UUID(int=0)

    async def log_in(self) -> None:
        self._headers = {}  # whoever cannot log in has no token from before either
        self._headers = {"Authorization": f"Bearer {await self._credentials.token()}"}

    async def buy(self) -> None:
        # Not 202: a customer whose payment is still open does not know whether the order will be sent.
        order = expect(await self._send("POST", "/v1/orders", _ORDER), _Order, HTTPStatus.CREATED)
        self._order_id = order.id
        _require(order, "placed")

    async def read(self) -> None:
        # Cancelled: by the clean-up of another probe, such as the one that takes over from this.
        order = expect(await self._send("GET", f"/v1/orders/{self._order_id}"), _Order)
        _require(order, "placed", "cancelled", order_id=self._order_id)

    async def cancel(self) -> None:
        await self._cancel(self._order_id)

    async def clean_up(self) -> None:
        """Cancel what this run or an earlier one has left open."""
        # Oldest first: if this is cut off, the newest are left, where the next one begins to look.
        for order in reversed(await self._left_open()):
            await self._cancel(order.id)

    async def _left_open(self) -> list[_Order]:
        """Return our placed orders, newest first, up to the first page without an open one."""
        placed: list[_Order] = []
        page = _Page(orders=[], next_cursor="")
        while page.next_cursor is not None:
            position = {"cursor": page.next_cursor} if page.next_cursor else {}
            page = expect(await self._send("GET", "/v1/orders", params={"limit": "100", **position}), _Page)
            open_ones = [order for order in page.orders if order.is_ours and order.state in {"pending", "placed"}]
            if not open_ones:
                break
            placed += [order for order in open_ones if order.state == "placed"]  # the payment of others is still open
        return placed

    async def _cancel(self, order_id: UUID) -> None:
        order = expect(await self._send("POST", f"/v1/orders/{order_id}/cancel"), _Order)
        _require(order, "cancelled", order_id=order_id)

    async def _send(
        self, method: str, path: str, json: object = None, *, params: dict[str, str] | None = None
    ) -> httpx.Response:
        once = {"Idempotency-Key": str(uuid7())} if method == "POST" else {}
        response = await self._client.request(method, path, json=json, params=params, headers={**self._headers, **once})
        if position := response.headers.get(_READ_AFTER):
            self._headers[_READ_AFTER] = position
        return response


def _require(order: _Order, *states: str, order_id: UUID | None = None) -> None:
    """Raise unless an order is the one that was asked for, with the price that was agreed, in one of `states`."""
    wanted = (order_id or order.id, _TOTAL_MINOR, True)
    if (order.id, order.total_minor, order.is_ours) != wanted or order.state not in states:
        detail = f"order {order.id} is {order.state}, for {order.total_minor}; asked for {wanted[0]}"
        raise StepFailed(Reason.CONTENT, detail)
