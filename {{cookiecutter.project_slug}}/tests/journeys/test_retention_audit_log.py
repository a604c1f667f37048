"""app/retention.py: a month of the audit log goes as a whole, when all of it is sealed and exported."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.retention import Rule
from app.retention import CannotRemove, Due, Outcome, Remover
from tests.support.audit import damage_in_database, damage_in_export, exported_one_by_one, sealed
from tests.support.audit_months import FIRST_MONTH, SECOND_MONTH, given_months, records
from tests.support.old_orders import PATIENCE, count, exists
from tests.support.plain_owner import plain_owner
from tests.support.retention import due_months, hold


@pytest.fixture
async def owner(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of the tables' owner, on a database with a log of two months of old."""
    await given_months(engine)
    async with plain_owner(engine) as owner:
        yield owner


async def test_a_month_goes_and_the_log_is_still_proven(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """What went is recorded, and in the export; no archive is written, so no storage is needed."""
    store = await exported_one_by_one(engine)
    seals = await sealed(engine)

    first, second = await _due(engine)
    assert await Remover(owner, None, PATIENCE).remove(first) is Outcome.DROPPED

    assert not await exists(engine, FIRST_MONTH)
    assert [record.partition for record in await records(engine)] == [FIRST_MONTH]
    for tenant in ("acme", "globex"):
        assert await damage_in_database(engine, tenant) is None
        assert await damage_in_export(store, engine, tenant) is None
    assert await sealed(engine) == seals
    assert await Remover(owner, None, PATIENCE).remove(second) is Outcome.DROPPED
    assert await damage_in_database(engine) is None


async def test_what_is_not_exported_stays(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """The first entry is named; the month is closed to its owner again."""
    first, _ = await _due(engine)

    with pytest.raises(CannotRemove, match="not exported"):
        await Remover(owner, None, PATIENCE).remove(first)

    assert await records(engine) == []
    assert await count(engine, "pg_class", f"relname = '{FIRST_MONTH}' AND relispartition AND relforcerowsecurity") == 1


async def test_a_month_with_a_tenant_that_is_held_stays_whole(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """No entry is ever deleted by itself."""
    await exported_one_by_one(engine)
    before = await count(engine, FIRST_MONTH)
    await hold(engine, "globex")

    first, _ = await _due(engine)
    assert await Remover(owner, None, PATIENCE).remove(first) is Outcome.KEPT

    assert await count(engine, FIRST_MONTH) == before
    assert await count(engine, "pg_class", f"relname = '{FIRST_MONTH}' AND relispartition AND relforcerowsecurity") == 1


async def test_its_rule_cannot_ask_for_an_archive(
    engine: AsyncEngine, owner: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are in the export, with their proofs."""
    monkeypatch.setattr("app.retention.rules", lambda: {"audit_log": Rule(keep_days=400, then="archive")})

    first, _ = await _due(engine)
    with pytest.raises(CannotRemove, match="the rule for audit_log must say drop"):
        await Remover(owner, None, PATIENCE).remove(first)


async def _due(engine: AsyncEngine) -> list[Due]:
    found = [month for month in await due_months(engine) if month.table.name == "audit_log"]
    assert [month.partition for month in found] == [FIRST_MONTH, SECOND_MONTH]
    return found
