"""app/retention.py: what others do while a month is on its way out, and what a run finds that was cut off."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.object_storage import FolderStore
from app.patterns import archive, retention
from app.patterns.partitions import PartitionBusy, detach, open_to_owner
from app.retention import Due, Outcome, Remover
from tests.support.eventually import eventually
from tests.support.old_orders import DUE, PATIENCE, count, run
from tests.support.retention import PARTITION, BusyStore, archives, due_orders, hold, is_part, nothing, restored

CHANGE = "UPDATE orders SET version = 7 WHERE id < '0192e505-9000-0000-0000-000000000000' AND total_minor = 5"
LOSSES: dict[str, Callable[[Path], object]] = {
    "no archive": rmtree,
    "a damaged archive": lambda folder: next(folder.glob("*.parquet")).unlink(),
}


async def test_a_row_changed_after_it_was_archived_is_not_lost(
    old_orders: AsyncEngine, remover: Remover, busy_store: BusyStore
) -> None:
    """The month is put back with it; the next run archives what is there by then."""
    busy_store.after_manifest = lambda: run(old_orders, CHANGE)

    assert await remover.remove(await due_orders(old_orders)) is Outcome.PUT_BACK
    assert await count(old_orders, "orders") == 100
    assert await is_part(old_orders)
    busy_store.after_manifest = nothing
    assert await remover.remove(await due_orders(old_orders)) is Outcome.DROPPED

    assert await archives(busy_store) == {"orders/2024-10/1": 50, "orders/2024-10/2": 50}
    assert sum(row.endswith(",7)") for row in await restored(old_orders, busy_store, "orders/2024-10/2")) == 2


async def test_an_archive_that_cannot_be_read_back_takes_no_row(
    old_orders: AsyncEngine, remover: Remover, busy_store: BusyStore, tmp_path: Path
) -> None:
    """Whatever the storage said when it was written."""

    async def lose() -> None:
        LOSSES["a damaged archive"](tmp_path / "orders" / "2024-10" / "1")

    busy_store.after_manifest = lose
    with pytest.raises(archive.ArchiveDamaged, match="is missing"):
        await remover.remove(await due_orders(old_orders))

    assert await count(old_orders, "orders") == 100


async def test_a_row_changed_while_others_are_held_stays(
    old_orders: AsyncEngine, remover: Remover, busy_store: BusyStore
) -> None:
    """Rows are deleted one by one then, and only as they were archived."""
    await hold(old_orders, "acme")
    busy_store.after_manifest = lambda: run(old_orders, CHANGE)

    assert await remover.remove(await due_orders(old_orders)) is Outcome.KEPT

    assert (
        await count(old_orders, PARTITION, "tenant_id = 'globex'")
        == await count(old_orders, PARTITION, "tenant_id <> 'acme'")
        == 1
    )
    busy_store.after_manifest = nothing
    await remover.remove(await due_orders(old_orders))
    assert await count(old_orders, PARTITION) == 30


async def test_a_hold_placed_after_the_archive_counts(
    old_orders: AsyncEngine, remover: Remover, busy_store: BusyStore
) -> None:
    """As long as the month is not dropped."""
    busy_store.after_manifest = lambda: hold(old_orders, "acme")

    assert await remover.remove(await due_orders(old_orders)) is Outcome.KEPT

    assert await count(old_orders, "orders", f"tableoid = '{PARTITION}'::regclass") == 30


async def test_a_hold_placed_in_the_last_moment_counts(
    old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore
) -> None:
    """The month was a table of its own already, and is put back."""
    month = await _cut_off_before_dropping(old_orders, busy_store)
    await hold(old_orders, "acme")

    assert await remover.remove(month) is Outcome.PUT_BACK

    assert await count(old_orders, "orders") == 100
    assert await remover.remove(await due_orders(old_orders)) is Outcome.KEPT


async def test_a_hold_waits_for_rows_that_are_being_removed(old_orders: AsyncEngine) -> None:
    """When it is placed, nothing is on its way out that it should have kept."""
    async with old_orders.begin() as removing:
        await retention.freeze(removing)
        placing = asyncio.create_task(hold(old_orders, "acme"))
        await eventually(lambda: _waits_for_a_lock(old_orders))
        assert not placing.done()

    assert await placing == 1


async def test_a_run_that_was_cut_off_is_gone_on_with(
    old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore
) -> None:
    """A month that is a table of its own is dropped if it is in its archive, and else put back."""
    month = await _cut_off_before_dropping(old_orders, busy_store)
    assert month.detached

    assert await remover.remove(month) is Outcome.DROPPED
    assert await archives(busy_store) == {"orders/2024-10/1": 50}


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_month_that_is_in_no_archive_is_put_back(
    old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore, tmp_path: Path, loss: str
) -> None:
    """Whatever happened to it meanwhile; the next run archives it again."""
    month = await _cut_off_before_dropping(old_orders, busy_store)
    LOSSES[loss](tmp_path / "orders" / "2024-10" / "1")

    assert await remover.remove(month) is Outcome.PUT_BACK
    assert await remover.remove(await due_orders(old_orders)) is Outcome.DROPPED
    assert await count(old_orders, "orders") == 50


async def test_an_archive_of_an_earlier_run_is_used_again(
    old_orders: AsyncEngine, remover: Remover, busy_store: FolderStore
) -> None:
    """If it holds just what goes; it is not written twice."""
    month = await due_orders(old_orders)
    await open_to_owner(old_orders, PATIENCE, PARTITION)
    async with old_orders.connect() as connection:
        await connection.execute(text("SELECT FROM orders LIMIT 1"))  # whoever holds the table lets nothing be detached
        hasty = PATIENCE.model_copy(update={"attempts": 1})
        with pytest.raises(PartitionBusy):
            await Remover(old_orders, busy_store, hasty).remove(month)

    assert await remover.remove(month) is Outcome.DROPPED
    assert await archives(busy_store) == {"orders/2024-10/1": 50}


async def _cut_off_before_dropping(engine: AsyncEngine, busy_store: FolderStore) -> Due:
    """Do what a run does until the month is a table of its own, and return the month."""
    month = await due_orders(engine)
    async with engine.connect() as connection:
        source = await archive.describe(connection, PARTITION)
        await archive.write(connection, busy_store, source, f"{month.archives}1")
    await open_to_owner(engine, PATIENCE, PARTITION)

    async def yes(_connection: AsyncConnection) -> bool:
        return True

    assert await detach(engine, PATIENCE, month.table, DUE, if_=yes)
    return await due_orders(engine)


async def _waits_for_a_lock(engine: AsyncEngine) -> bool:
    return await count(engine, "pg_stat_activity", "wait_event_type = 'Lock' AND datname = current_database()") > 0
