"""What goes over the wire. Requests are strict: a field nobody knows is a mistake, a number in quotes too."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.orders.errors import InvalidCursor
from app.orders.models import Order, OrderState, TimelineEntry


def _whole(value: object) -> object:
    # To JSON, 2.0 and 2 are the same number, and some serializers write the former.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The largest order, 100 items x 1 000 pieces x 10 million, is 10^14 minor units: far inside a 64-bit integer.
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Quantity = Annotated[int, Field(ge=1, le=1_000), BeforeValidator(_whole)]
UnitPriceMinor = Annotated[
    int,
    Field(ge=1, le=1_000_000_000, description="Minor units: 1250 is 12.50 EUR."),
    BeforeValidator(_whole),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="ISO 4217 code.")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Item(_Request):
    """Some pieces of one article."""

    sku: Sku
    quantity: Quantity
    unit_price_minor: UnitPriceMinor


class PlaceOrder(_Request):
    """What a customer wants to buy."""

    currency: Currency
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]


class OrderView(BaseModel):
    """An order, as its owner sees it."""

    id: UUID
    state: OrderState
    currency: str
    total_minor: int
    items: list[Item]
    created_at: datetime

    @classmethod
    def of(cls, order: Order) -> "OrderView":
        """Return the view of `order`."""
        return cls.model_validate(order, from_attributes=True)


class HistoryEntry(BaseModel):
    """One event of the order that has been consumed."""

    type: str
    occurred_at: datetime


class OrderDetail(OrderView):
    """An order with its history. The history follows the order by the time an event travels."""

    history: list[HistoryEntry]

    @classmethod
    def with_history(cls, order: Order, entries: Sequence[TimelineEntry]) -> "OrderDetail":
        """Return the view of `order` and of what happened to it."""
        history = [HistoryEntry(type=entry.type, occurred_at=entry.occurred_at) for entry in entries]
        return cls(**OrderView.of(order).model_dump(), history=history)


class OrderPage(BaseModel):
    """Some orders, newest first."""

    orders: list[OrderView]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null on the last one.")


CURSOR_PATTERN = "^[A-Za-z0-9_-]{22}$"
"""What a cursor looks like, for the API's description."""


def encode_cursor(last: Order) -> str:
    """Return the token of the page after `last`. Opaque on purpose: what it holds may change."""
    return base64.urlsafe_b64encode(last.id.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """Return the id that a cursor stands for.

    Raises:
        InvalidCursor: this API did not make it.
    """
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as exc:
        raise InvalidCursor("The cursor was not handed out by this API.") from exc
