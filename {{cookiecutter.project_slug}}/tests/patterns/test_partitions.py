"""patterns/partitions: months are made ahead, beside traffic, and what came before its month moves there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.kit.clock import ManualClock
from app.kit.db import DatabaseSettings, create_engine
from app.patterns.partitions import NotByMonth, PartitionBusy, PartitionSettings, Watch, make_ahead
from app.patterns.partitions.ahead import ADVISORY_LOCK
from app.patterns.tenancy import USER_ROLE
from tests.support.eventually import eventually
from tests.support.order_ids import order_id
from tests.support.plain_owner import plain_owner

SETTINGS = PartitionSettings(months_ahead=1, lock_timeout_seconds=0.1)
CLOCK = ManualClock(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
MADE = [f"{table}_2026_{month}" for table in ("audit_log", "order_timeline", "orders") for month in (11, 12)]
INSERT = text("""
    INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, version)
    VALUES (:id, 'acme', 'pending', 'EUR', 100, '[]', now(), 1)
""")
NOVEMBER, JANUARY = datetime(2026, 11, 5, tzinfo=UTC), datetime(2027, 1, 5, tzinfo=UTC)


async def test_this_month_and_the_next_ones_are_made_once(engine: AsyncEngine) -> None:
    """Also if two processes come at the same moment; and nothing is done when nothing is missing."""
    at_once = await asyncio.gather(*(make_ahead(engine, SETTINGS, CLOCK) for _ in range(3)))

    assert sorted(name for made in at_once for name in made) == MADE
    assert await make_ahead(engine, SETTINGS, CLOCK) == []


async def test_with_nothing_to_do_no_lock_is_asked_for(engine: AsyncEngine) -> None:
    """Neither the table's nor the one among those who make partitions: it may run as often as one likes."""
    await make_ahead(engine, SETTINGS, CLOCK)
    hasty = SETTINGS.model_copy(update={"attempts": 1})
    async with engine.begin() as holder:
        await holder.execute(text("LOCK TABLE orders, order_timeline IN ACCESS EXCLUSIVE MODE"))
        await holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})

        async with asyncio.timeout(5):
            assert await make_ahead(engine, hasty, CLOCK) == []


async def test_rows_go_to_their_month_and_stay_guarded(engine: AsyncEngine) -> None:
    """With the table's key, its checks, its triggers; and nobody reads them past the table's policies."""
    await make_ahead(engine, SETTINGS, CLOCK)
    await place(engine, NOVEMBER, JANUARY)

    assert await places(engine) == ["orders_2026_11", "orders_default"]
    with pytest.raises(DBAPIError, match="cannot become"):
        await run(engine, "UPDATE orders SET state = 'cancelled'")
    with pytest.raises(DBAPIError, match="duplicate key"):
        await place(engine, NOVEMBER)
    await run(engine, f"GRANT SELECT ON orders_2026_11 TO {USER_ROLE}")
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {USER_ROLE}"))
        await connection.execute(text("SET LOCAL app.tenant = 'acme'"))
        assert await connection.scalar(text("SELECT count(*) FROM orders")) == 2
        assert await connection.scalar(text("SELECT count(*) FROM orders_2026_11")) == 0


async def test_one_order_is_looked_up_in_one_month(engine: AsyncEngine) -> None:
    """The plan names a single partition."""
    await make_ahead(engine, SETTINGS, CLOCK)
    async with engine.connect() as connection:
        plan = await connection.scalars(
            text(f"EXPLAIN SELECT * FROM orders WHERE id = '{order_id(NOVEMBER)}'")  # noqa: S608 - an id of our own
        )
        scans = [line.strip() for line in plan if " on orders" in line]

    assert [scan.split(" on ")[1].split()[0] for scan in scans] == ["orders_2026_11"]


async def test_what_came_before_its_month_moves_there(engine: AsyncEngine) -> None:
    """Nothing else moves; and whoever counts meanwhile counts every order at every moment."""
    await place(engine, NOVEMBER, JANUARY)

    async with counting(engine) as counted:
        await make_ahead(engine, SETTINGS, CLOCK)
        seen = len(counted)
        await eventually(lambda: len(counted) > seen)

    assert await places(engine) == ["orders_2026_11", "orders_default"]
    assert set(counted) == {2}
    async with engine.connect() as connection:
        forced = text("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'orders_default'")
        assert await connection.scalar(forced)


async def test_an_owner_without_any_other_right_can_move_them(engine: AsyncEngine) -> None:
    """Forced row-level security hides rows from a table's owner, too, unless that is a superuser; afterwards again."""
    await place(engine, NOVEMBER)
    async with plain_owner(engine) as owner:
        await make_ahead(owner, SETTINGS, CLOCK)

        assert await places(engine) == ["orders_2026_11"]
        await place(engine, JANUARY)
        async with owner.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM orders_default")) == 0


async def test_orders_are_placed_while_their_month_is_made(engine: AsyncEngine) -> None:
    """None fails and none is lost, whether it came before or after its month."""
    placed, stop = [NOVEMBER], asyncio.Event()
    await place(engine, NOVEMBER)

    async def keep_placing(day: int) -> None:
        while not stop.is_set():
            moment = NOVEMBER.replace(day=day) + timedelta(milliseconds=len(placed))
            await place(engine, moment)
            placed.append(moment)

    customers = [asyncio.create_task(keep_placing(day)) for day in (6, 7)]
    await eventually(lambda: len(placed) > 10)
    await make_ahead(engine, SETTINGS, CLOCK)
    seen = len(placed)
    await eventually(lambda: len(placed) > seen + 10)
    stop.set()
    await asyncio.gather(*customers)

    assert await places(engine) == ["orders_2026_11"] * len(placed)


async def test_a_busy_table_is_given_up_and_tried_again(engine: AsyncEngine) -> None:
    """While one transaction holds the default partition, others get past after each try."""
    with capture_logs() as logs:
        async with engine.connect() as holder:
            await holder.execute(text("SELECT count(*) FROM orders"))
            making = asyncio.create_task(make_ahead(engine, SETTINGS, CLOCK))
            for tries in (1, 2, 3):
                await eventually(
                    lambda: len([line for line in logs if line["event"] == "partitions.table_busy"]) >= tries  # noqa: B023
                )
                async with asyncio.timeout(5):
                    await place(engine, NOVEMBER.replace(day=tries))
            assert not making.done()
        made = await making

    assert sorted(made) == MADE
    assert await places(engine) == ["orders_2026_11"] * 3


async def test_a_table_that_stays_busy_is_named(engine: AsyncEngine) -> None:
    """What was made for other tables is kept."""
    few = SETTINGS.model_copy(update={"attempts": 2, "lock_timeout_seconds": 0.02})
    async with engine.connect() as holder:
        await holder.execute(text("SELECT count(*) FROM orders"))
        with pytest.raises(PartitionBusy, match="orders is busy: no partition was made for 2026-11"):
            await make_ahead(engine, few, CLOCK)

    assert await make_ahead(engine, SETTINGS, CLOCK) == ["orders_2026_11", "orders_2026_12"]


async def test_a_key_that_tells_no_time_is_refused(engine: AsyncEngine) -> None:
    """A table that is partitioned by something else is not one for months."""
    await run(engine, "CREATE TABLE parcel (weight bigint) PARTITION BY RANGE (weight)")
    await run(engine, "CREATE TABLE parcel_default PARTITION OF parcel DEFAULT")

    with pytest.raises(NotByMonth, match="a key of type bigint tells no time"):
        await make_ahead(engine, SETTINGS, CLOCK)


async def test_the_gauges_tell_what_is_missing(engine: AsyncEngine) -> None:
    """It is -1 when this month has no partition; a gap ends the count; rows without a month are counted."""
    watch = Watch(engine, CLOCK, SETTINGS)
    await watch.look()
    assert gauge("partition_ahead_months", table="orders") == -1

    await make_ahead(engine, SETTINGS.model_copy(update={"months_ahead": 4}), CLOCK)
    await run(engine, "DROP TABLE orders_2027_02")
    await place(engine, datetime(2027, 2, 5, tzinfo=UTC))
    await watch.look()

    assert gauge("partition_ahead_months", table="orders") == 2
    assert gauge("partition_ahead_months", table="order_timeline") == 4
    assert gauge("partition_wanted_months") == 1

    async def told() -> bool:
        await watch.look()
        return gauge("partition_default_rows", table="orders") == 1

    await eventually(told)


async def test_the_watch_survives_a_broken_database() -> None:
    """It says so, and ends when it is told to."""
    nowhere = DatabaseSettings.model_validate({"url": "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere"})
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(Watch(create_engine(nowhere, application_name="test"), CLOCK, SETTINGS).run(stop))
        await eventually(lambda: logs)
        stop.set()
        await running

    assert [line["event"] for line in logs] == ["partitions.unknown"]


@asynccontextmanager
async def counting(engine: AsyncEngine) -> AsyncIterator[list[int]]:
    """Count the tenant's orders again and again, in transactions of their own."""
    counted: list[int] = []
    stop = asyncio.Event()

    async def count() -> None:
        while not stop.is_set():
            async with engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL ROLE {USER_ROLE}"))
                await connection.execute(text("SET LOCAL app.tenant = 'acme'"))
                counted.append(int(await connection.scalar(text("SELECT count(*) FROM orders")) or 0))

    counter = asyncio.create_task(count())
    await eventually(lambda: counted)
    yield counted
    stop.set()
    await counter


async def place(engine: AsyncEngine, *moments: datetime) -> None:
    """Put an order of each moment into the table."""
    async with engine.begin() as connection:
        for moment in moments:
            await connection.execute(INSERT, {"id": order_id(moment)})


async def places(engine: AsyncEngine) -> list[str]:
    """Return for each order the partition it is in."""
    async with engine.connect() as connection:
        names = await connection.scalars(text("SELECT tableoid::regclass::text FROM orders ORDER BY id"))
        return list(names)


async def run(engine: AsyncEngine, statement: str) -> None:
    """Run a statement as the owner."""
    async with engine.begin() as connection:
        await connection.execute(text(statement))


def gauge(name: str, **labels: str) -> float | None:
    """Return what a scrape would show."""
    return REGISTRY.get_sample_value(name, labels)
