"""orders/service.py: the use cases, on a real PostgreSQL, with a payment provider that does as it is told."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.db import transaction
from app.kit.ids import uuid7
from app.orders import events, queries
from app.orders.errors import OrderNotFound, OrderStateConflict
from app.orders.models import OrderState
from app.orders.payments import Decision
from app.orders.service import Orders, OrderSettings
from app.patterns import outbox
from tests.support.eventually import eventually
from tests.support.orders import ITEMS, Provider, announced, place


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def orders(engine: AsyncEngine, provider: Provider, clock: ManualClock) -> Orders:
    return Orders(engine, provider, clock, OrderSettings(settle_after_seconds=10, settle_max_seconds=300))


async def test_an_authorised_order_is_placed_and_announced(
    engine: AsyncEngine, orders: Orders, provider: Provider
) -> None:
    """The happy path: the provider is asked for the total, and the event is in the outbox."""
    order = await place(orders)

    assert order.state is OrderState.PLACED
    assert provider.asked == [(order.id, 900, "EUR")]
    assert await announced(engine) == [("order.placed", str(order.id))]


async def test_a_refused_order_is_kept_as_refused(engine: AsyncEngine, orders: Orders, provider: Provider) -> None:
    """Nobody asks again, and the refusal is announced too."""
    provider.decision = Decision.REFUSED

    order = await place(orders)

    assert order.state is OrderState.REFUSED
    assert await announced(engine) == [("order.refused", str(order.id))]


async def test_with_the_provider_down_the_order_stays_open(
    engine: AsyncEngine, orders: Orders, provider: Provider
) -> None:
    """The customer's order is not lost, and nothing is announced that is not so."""
    provider.decision = None

    order = await place(orders)

    assert order.state is OrderState.PENDING
    assert await announced(engine) == []


async def test_an_open_order_cannot_be_cancelled(orders: Orders, provider: Provider) -> None:
    """Its payment may be under way; the customer is told to come back."""
    provider.decision = None
    order = await place(orders)

    with pytest.raises(OrderStateConflict):
        await orders.cancel("acme", order.id)


async def test_cancellations_that_meet_announce_once(engine: AsyncEngine, orders: Orders, clock: ManualClock) -> None:
    """The second one waits for the first, and sees its result."""
    order = await place(orders)

    async with transaction(engine) as session:
        first = await queries.get(session, "acme", order.id, lock=True)
        second = asyncio.create_task(orders.cancel("acme", order.id))
        await eventually(lambda: somebody_waits(engine))
        first.cancel(at=clock.now())
        await outbox.publish(session, events.of(first, at=clock.now()))

    assert (await second).state is OrderState.CANCELLED
    assert [type_ for type_, _ in await announced(engine)] == ["order.placed", "order.cancelled"]


async def somebody_waits(engine: AsyncEngine) -> bool:
    """Tell whether a session of this database waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with engine.connect() as connection:
        return bool(await connection.scalar(text(query)))


@pytest.mark.parametrize("action", ["get", "cancel"])
async def test_another_tenants_order_does_not_exist(orders: Orders, action: str) -> None:
    """Foreign and missing look the same."""
    order = await place(orders, "acme")

    for order_id in (order.id, uuid7()):
        with pytest.raises(OrderNotFound):
            await getattr(orders, action)("zeta", order_id)


async def test_pages_follow_each_other_newest_first(orders: Orders) -> None:
    """Each order is on exactly one page, and other tenants' orders on none."""
    placed = [(await place(orders)).id for _ in range(5)]
    await place(orders, "zeta")

    first = await orders.page("acme", before=None, limit=2)
    second = await orders.page("acme", before=first[-1].id, limit=2)
    third = await orders.page("acme", before=second[-1].id, limit=2)

    assert sorted((order.id for page in (first, second, third) for order in page), reverse=True) == sorted(
        placed, reverse=True
    )
    assert [len(page) for page in (first, second, third)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("sql", "allowed"),
    [
        ("UPDATE orders SET state = 'refused'", False),
        ("UPDATE orders SET state = 'pending'", False),
        ("UPDATE orders SET state = 'shipped'", False),
        ("UPDATE orders SET state = 'cancelled'", True),
        ("UPDATE orders SET settle_after = now()", True),
        (
            (
                "INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, version) "
                "SELECT gen_random_uuid(), tenant_id, 'placed', currency, total_minor, items, created_at, 1 FROM orders"
            ),
            False,
        ),
    ],
)
async def test_sql_cannot_go_around_the_state_machine(
    engine: AsyncEngine,
    orders: Orders,
    sql: str,
    allowed: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    """The database holds the same table of steps, for whoever comes with a statement."""
    await place(orders)

    async def run() -> Any:  # noqa: ANN401 - whatever the driver returns
        async with engine.begin() as connection:
            return await connection.execute(text(sql))

    if allowed:
        await run()
    else:
        with pytest.raises(IntegrityError, match=r"cannot become|starts as pending"):
            await run()


async def test_the_pause_between_transactions_holds_no_connection(engine: AsyncEngine, clock: ManualClock) -> None:
    """While the provider thinks, the pool is free."""
    checked_out = []

    class Watching(Provider):
        """Looks at the pool while it is asked."""

        async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
            checked_out.append(engine.pool.status())
            return await super().authorise(order_id, amount_minor=amount_minor, currency=currency)

    await Orders(engine, Watching(), clock, OrderSettings()).place("acme", currency="EUR", items=ITEMS)

    assert "Current Checked out connections: 0" in checked_out[0]


async def test_each_step_is_in_the_audit_log(engine: AsyncEngine, orders: Orders, provider: Provider) -> None:
    """Placed, cancelled, released: each entry begins with the state in which the one before has left the order."""
    order = await place(orders)
    await orders.cancel("acme", order.id)
    await orders.settle_open(engine, limit=10)
    provider.decision = Decision.REFUSED
    refused = await place(orders)

    entries = await audited(engine)
    assert [(entry.action, entry.resource_id) for entry in entries] == [
        ("order.placed", str(order.id)),
        ("order.cancelled", str(order.id)),
        ("order.payment_released", str(order.id)),
        ("order.refused", str(refused.id)),
    ]
    placed, cancelled, released, _ = entries
    assert (placed.after, cancelled.after) == (cancelled.before, released.before)
    assert len({placed.before, placed.after, cancelled.after, released.after}) == 4


async def test_what_changes_nothing_is_not_in_the_audit_log(engine: AsyncEngine, orders: Orders) -> None:
    """A second cancellation is no step."""
    order = await place(orders)
    await orders.cancel("acme", order.id)
    await orders.cancel("acme", order.id)

    assert [entry.action for entry in await audited(engine)] == ["order.placed", "order.cancelled"]


async def audited(engine: AsyncEngine) -> Sequence[Row[Any]]:
    """Return the entries of the audit log."""
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT * FROM audit_log ORDER BY id"))).all()
