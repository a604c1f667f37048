"""The order, and the only steps it can take."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base
from app.orders.errors import OrderStateConflict


class OrderState(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    """Written, and the payment provider has not answered yet."""
    PLACED = "placed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING: frozenset({OrderState.PLACED, OrderState.REFUSED}),
    OrderState.PLACED: frozenset({OrderState.CANCELLED}),
    OrderState.REFUSED: frozenset(),
    OrderState.CANCELLED: frozenset(),
}
"""The state machine. Migration 0003_orders holds the same table as a trigger: raw SQL cannot pass it either."""


class Order(Base):
    """One order of one tenant. Money is in minor units of its currency (cents), never a float."""

    __tablename__ = "orders"
    __table_args__ = (
        # Tenant first: the list reads one contiguous range, newest first.
        Index("orders_tenant_id_id_idx", "tenant_id", text("id DESC")),
        Index("orders_settle_after_idx", "settle_after", postgresql_where=text("settle_after IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    _state: Mapped[str] = mapped_column("state", Text)
    currency: Mapped[str] = mapped_column(Text)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    settle_after: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the worker has to talk to the provider about this order; NULL when nothing is open."""
    version: Mapped[int] = mapped_column(Integer)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy declares it as an instance variable

    @classmethod
    def receive(
        cls,
        order_id: UUID,
        *,
        tenant_id: str,
        currency: str,
        items: list[dict[str, Any]],
        at: datetime,
        settle_after: datetime,
    ) -> "Order":
        """Return a new order, `pending` until the provider has answered."""
        total = sum(item["quantity"] * item["unit_price_minor"] for item in items)
        return cls(
            id=order_id,
            tenant_id=tenant_id,
            _state=OrderState.PENDING,
            currency=currency,
            total_minor=total,
            items=items,
            created_at=at,
            settle_after=settle_after,
        )

    @property
    def state(self) -> OrderState:
        """Where the order stands. Read-only: only the steps below change it."""
        return OrderState(self._state)

    def place(self) -> None:
        """The provider has authorised the payment."""
        self._step(OrderState.PLACED)
        self.settle_after = None

    def refuse(self) -> None:
        """The provider has refused the payment."""
        self._step(OrderState.REFUSED)
        self.settle_after = None

    def cancel(self, *, at: datetime) -> None:
        """The customer has changed their mind; from `at` on the worker releases the payment."""
        self._step(OrderState.CANCELLED)
        self.settle_after = at

    def release(self) -> None:
        """The provider has let go of the authorised amount of a cancelled order."""
        self.settle_after = None

    def _step(self, to: OrderState) -> None:
        if to not in TRANSITIONS[self.state]:
            raise OrderStateConflict(f"An order that is {self.state} cannot become {to}.")
        self._state = to


class TimelineEntry(Base):
    """One thing that happened to an order, as told by its events: the read model that the consumer fills."""

    __tablename__ = "order_timeline"
    __table_args__ = (UniqueConstraint("order_id", "event_id"),)

    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """1, 2, 3, ... per order: two events cannot take the same place."""
    event_id: Mapped[UUID] = mapped_column()
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
