"""patterns/partitions: a month leaves its table without holding anybody up, and can come back."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.testing import capture_logs

from app.kit.clock import ManualClock
from app.patterns.partitions import (
    Month,
    PartitionBusy,
    PartitionedTable,
    attach,
    detach,
    detached,
    make_ahead,
    open_to_owner,
    tables,
)
from app.patterns.tenancy import USER_ROLE
from tests.support.eventually import eventually
from tests.support.old_orders import DUE, PATIENCE, count, given_months, given_orders, run

PARTITION = DUE.partition_of("orders")


@pytest.fixture
async def orders(engine: AsyncEngine) -> PartitionedTable:
    """Return the table, with ten orders in a month of old."""
    await given_months(engine, DUE)
    await given_orders(engine, DUE, {"acme": 10})
    return await table(engine)


async def test_it_leaves_and_comes_back_as_it_was(engine: AsyncEngine, orders: PartitionedTable) -> None:
    """With its rows, its triggers and its walls; in between, nobody has a right to it."""
    assert await detach(engine, PATIENCE, orders, DUE, if_=yes)
    async with engine.connect() as connection:
        assert await detached(connection, orders) == [DUE]
    assert await count(engine, "orders") == 0
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        assert await count(engine, "pg_class", f"has_table_privilege('{USER_ROLE}', '{PARTITION}', '{right}')") == 0

    await attach(engine, PATIENCE, orders, DUE)

    async with engine.connect() as connection:
        assert await detached(connection, orders) == []
    assert await count(engine, "orders") == 10
    assert await count(engine, "pg_description", f"objoid = '{PARTITION}'::regclass") == 0
    assert await count(engine, "pg_class", f"relname = '{PARTITION}' AND relrowsecurity AND relforcerowsecurity") == 1
    with pytest.raises(DBAPIError, match="cannot become"):
        await run(engine, "UPDATE orders SET state = 'cancelled'")


async def test_it_stays_if_the_answer_is_no(engine: AsyncEngine, orders: PartitionedTable) -> None:
    """The question is asked in the transaction that would do it."""

    async def no(connection: AsyncConnection) -> bool:
        return bool(await connection.scalar(text("SELECT count(*) <> 10 FROM orders")))

    assert not await detach(engine, PATIENCE, orders, DUE, if_=no)
    assert await count(engine, "orders") == 10


async def test_a_busy_table_is_left_in_peace(engine: AsyncEngine, orders: PartitionedTable) -> None:
    """While one transaction holds it, others get past between the tries; then it leaves."""
    with capture_logs() as logs:
        async with engine.connect() as holder:
            await holder.execute(text("SELECT FROM orders"))
            leaving = asyncio.create_task(detach(engine, PATIENCE, orders, DUE, if_=yes))
            for tries in (1, 2, 3):
                await eventually(lambda: len([it for it in logs if it["event"] == "partitions.table_busy"]) >= tries)  # noqa: B023
                async with asyncio.timeout(5):
                    await run(engine, "UPDATE orders SET version = version + 1")
            assert not leaving.done()
        assert await leaving

    assert await count(engine, "orders") == 0
    assert {line["table"] for line in logs if line["event"] == "partitions.table_busy"} == {"orders"}


async def test_a_table_that_stays_busy_is_named(engine: AsyncEngine, orders: PartitionedTable) -> None:
    """And the month stays where it is."""
    few = PATIENCE.model_copy(update={"attempts": 2, "lock_timeout_seconds": 0.02})
    async with engine.connect() as holder:
        await holder.execute(text("SELECT FROM orders"))
        with pytest.raises(PartitionBusy, match="orders is busy: 2024-10 was not detached"):
            await detach(engine, few, orders, DUE, if_=yes)

    assert await count(engine, "orders") == 10


async def test_its_owner_can_be_let_in(engine: AsyncEngine, orders: PartitionedTable) -> None:
    """And be kept out again; twice is as good as once."""
    forced = f"relname = '{PARTITION}' AND relforcerowsecurity"
    for opened in (True, True, False, False):
        await open_to_owner(engine, PATIENCE, PARTITION, opened=opened)
        assert await count(engine, "pg_class", forced) == (0 if opened else 1)
    assert orders.name == "orders"


async def test_months_that_are_over_are_made_for_rows_without_one(engine: AsyncEngine) -> None:
    """From a month on, with those between; rows that came without them move there."""
    await given_orders(engine, DUE, {"acme": 10})

    made = await make_ahead(engine, PATIENCE, ManualClock(DUE.following.following.begins), since=DUE)

    assert [name for name in made if name.startswith("orders")] == [
        f"orders_{m}" for m in ("2024_10", "2024_11", "2024_12", "2025_01")
    ]
    assert await count(engine, "orders", f"tableoid = '{PARTITION}'::regclass") == 10


@pytest.mark.parametrize("written", ["2026-13", "2026-1", "november", "2026-11-01", "٢٠٢٦-11"])
def test_what_is_no_month_is_refused(written: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match="a month is written as 2026-11, not as"):
        Month.parse(written)


@pytest.mark.parametrize(
    "name", ["orders_2026_13", "orders_2026_1", "orders_2026_111", "orders_default", "other_2026_11"]
)
def test_a_name_may_say_no_month(name: str) -> None:
    """Then it is nobody's partition."""
    assert Month.of_partition("orders", name) is None
    assert Month.of_partition("orders", "orders_2026_11") == Month(2026, 11) == Month.parse("2026-11")


async def yes(_connection: AsyncConnection) -> bool:
    """Agree."""
    return True


async def table(engine: AsyncEngine) -> PartitionedTable:
    """Return what the catalogue says of orders."""
    async with engine.connect() as connection:
        (found,) = [it for it in await tables(connection) if it.name == "orders"]
    return found
