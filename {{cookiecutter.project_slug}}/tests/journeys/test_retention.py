"""app/retention.py: old months are archived and dropped; what is held or still needed stays."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import retention
from app.patterns.retention import Rule
from app.retention import CannotRemove, Outcome, Remover
from tests.support.old_orders import DUE, PATIENCE, count, exists, given_months, given_orders, rows, run
from tests.support.plain_owner import plain_owner
from tests.support.retention import PARTITION, archives, due_months, due_orders, hold, is_part, restored


async def test_a_month_is_due_when_its_last_day_is_so_old(old_orders: AsyncEngine) -> None:
    """Not a moment earlier."""
    last = DUE.following.begins + timedelta(days=730)
    assert [month.partition for month in await due_months(old_orders, at=last)][:2] == [
        PARTITION,
        "order_timeline_2024_10",
    ]
    before = await due_months(old_orders, at=last - timedelta(microseconds=1))
    assert {month.table.name for month in before} == {"audit_log"}


async def test_it_is_archived_and_dropped(old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore) -> None:
    """All of its rows and no others; they can be read from the archive alone."""
    before = await rows(old_orders, PARTITION)

    for month in (await due_months(old_orders))[:2]:
        assert await remover.remove(month) is Outcome.DROPPED

    assert await count(old_orders, "orders") == await count(old_orders, "order_timeline") == 50
    assert not await exists(old_orders, PARTITION)
    assert await archives(busy_store) == {"orders/2024-10/1": 50}
    assert await restored(old_orders, busy_store, "orders/2024-10/1") == before
    assert {month.table.name for month in await due_months(old_orders)} == {"audit_log"}


async def test_an_owner_without_any_other_right_can_do_it(old_orders: AsyncEngine, busy_store: FolderStore) -> None:
    """Forced row-level security hides a month's rows from the owner too, until the month leaves."""
    number = await hold(old_orders, "globex")
    async with plain_owner(old_orders) as owner:
        assert await Remover(owner, busy_store, PATIENCE).remove(await due_orders(old_orders)) is Outcome.KEPT
        assert await count(old_orders, PARTITION) == 20
        async with owner.begin() as connection:
            await retention.release(connection, number)
        assert await Remover(owner, busy_store, PATIENCE).remove(await due_orders(old_orders)) is Outcome.DROPPED

    assert await archives(busy_store) == {"orders/2024-10/1": 30, "orders/2024-10/2": 20}


async def test_held_rows_stay(old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore) -> None:
    """Those of the other tenants go; released, they go too, and each row is in one archive."""
    before = await rows(old_orders, PARTITION)
    number = await hold(old_orders, "acme")

    assert await remover.remove(await due_orders(old_orders)) is Outcome.KEPT
    assert await count(old_orders, PARTITION, "tenant_id = 'acme'") == 30
    assert await count(old_orders, PARTITION) == 30
    assert await remover.remove(await due_orders(old_orders)) is Outcome.KEPT  # the next day: nothing is left to do
    assert await is_part(old_orders)

    async with old_orders.begin() as connection:
        await retention.release(connection, number)
    assert await remover.remove(await due_orders(old_orders)) is Outcome.DROPPED
    assert await archives(busy_store) == {"orders/2024-10/1": 20, "orders/2024-10/2": 30}
    both = [row for name in await archives(busy_store) for row in await restored(old_orders, busy_store, name)]
    assert sorted(both) == sorted(before)


async def test_a_row_that_is_needed_stays(engine: AsyncEngine, remover: Remover) -> None:
    """By the rule's `unless`: an order that is still open after two years. NULL is not needed."""
    await given_months(engine, DUE)
    await given_orders(engine, DUE, {"acme": 10}, still_open=2)

    assert await remover.remove(await due_orders(engine)) is Outcome.KEPT

    assert await count(engine, "orders") == await count(engine, "orders", "settle_after IS NOT NULL") == 2


async def test_a_rule_may_drop_without_an_archive(old_orders: AsyncEngine) -> None:
    """Then no storage is needed, and held rows stay all the same."""
    remover = Remover(old_orders, None, PATIENCE)
    month = await due_orders(old_orders, then="drop")
    await hold(old_orders, "globex")
    assert await remover.remove(month) is Outcome.KEPT
    assert await count(old_orders, PARTITION) == 20

    await run(old_orders, "UPDATE legal_hold SET released_at = now()")
    assert await remover.remove(month) is Outcome.DROPPED
    assert not await exists(old_orders, PARTITION)


async def test_without_a_storagenothing_goes(old_orders: AsyncEngine) -> None:
    """The setting is named."""
    with pytest.raises(CannotRemove, match="APP_RETENTION__ARCHIVE_URL"):
        await Remover(old_orders, None, PATIENCE).remove(await due_orders(old_orders))

    assert await count(old_orders, PARTITION) == 50


async def test_a_rule_for_a_table_without_months_is_refused(
    old_orders: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name."""
    monkeypatch.setattr("app.retention.rules", lambda: {"inbox": Rule(keep_days=1, then="drop")})

    with pytest.raises(CannotRemove, match="inbox"):
        await due_months(old_orders)


async def test_a_table_with_the_name_of_a_month_is_left_alone(old_orders: AsyncEngine) -> None:
    """Somebody's copy is neither dropped nor put into the table."""
    await run(old_orders, "CREATE TABLE orders_2024_01 (LIKE orders)")

    assert [month.partition for month in await due_months(old_orders)][:2] == [PARTITION, "order_timeline_2024_10"]
