"""patterns/audit_log: a month whose entries are sealed and exported may be dropped, and what went is written down."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import ManualClock, SystemClock
from app.kit.context import Context, bind
from app.patterns.audit_log import NotDroppable, before_drop, merkle, reading
from app.patterns.partitions import PartitionSettings, make_ahead
from tests.support.audit import (
    MemoryStore,
    damage_in_database,
    damage_in_export,
    exported_one_by_one,
    exporter,
    given_entries,
    looking,
    seal_all,
    sealed,
    sealer_of,
    tamper,
)
from tests.support.audit_months import (
    FEBRUARY,
    FIRST_MONTH,
    INSERT,
    JANUARY,
    SECOND_MONTH,
    drop,
    given_entries_at,
    given_months,
    leaves,
    let_read,
    records,
)
from tests.support.plain_owner import plain_owner

MANY = text("""
    INSERT INTO audit_log (recorded_at, tenant_id, actor, request_id, trace_id, action, resource_type, resource_id)
    SELECT month, 'acme', '', '', '', '', '', ''
    FROM unnest(CAST(:months AS timestamptz[])) AS month, generate_series(1, 5000) ORDER BY month
""")
WORK = Context(request_id="r-7", actor="retention")


@pytest.fixture
async def store(engine: AsyncEngine) -> MemoryStore:
    """Return the storage to which a log of two months was exported."""
    await given_months(engine)
    return await exported_one_by_one(engine)


@pytest.fixture
async def owner(engine: AsyncEngine, store: MemoryStore) -> AsyncIterator[AsyncEngine]:  # noqa: ARG001 - exported first
    """Yield the engine of the tables' owner, who is nobody else."""
    async with plain_owner(engine) as owner:
        yield owner


async def test_what_went_is_recorded(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Per tenant: which ids and positions, how many, and a root over their leaves."""
    went = await leaves(engine, range(1, 5), range(6, 7))
    await drop(owner, FIRST_MONTH)

    (record,) = await records(engine)
    assert (record.number, record.partition, record.first_id, record.last_id) == (1, FIRST_MONTH, 1, 6)
    assert (record.entries, record.positions) == (5, (range(1, 5), range(6, 7)))
    assert record.root == merkle.root(went)
    (other,) = await records(engine, "globex")
    assert (other.first_id, other.last_id, other.entries, other.positions) == (10, 11, 2, (range(1, 3),))


async def test_an_entry_stands_for_each_record(engine: AsyncEngine, owner: AsyncEngine, store: MemoryStore) -> None:
    """By whoever dropped the month; it is sealed and exported as every other."""
    with bind(WORK):
        await drop(owner, FIRST_MONTH)
    async with sealer_of(engine) as sealer:
        assert await seal_all(sealer) == 2
    assert await exporter(engine, store).export_once() == 2

    async with engine.connect() as connection:
        query = "SELECT * FROM audit_log WHERE action = 'audit_log.dropped' ORDER BY tenant_id"
        acme, globex = (await connection.execute(text(query))).all()
    assert (acme.tenant_id, globex.tenant_id) == ("acme", "globex")
    assert (acme.actor, acme.request_id, acme.trace_id) == ("retention", "r-7", "")
    assert (acme.resource_type, acme.resource_id, acme.before) == ("audit_log", FIRST_MONTH, None)
    assert [acme.after] == [record.hash for record in await records(engine)]


async def test_the_proof_of_the_rest_is_not_lost(engine: AsyncEngine, owner: AsyncEngine, store: MemoryStore) -> None:
    """Database and export are found to be what was sealed: after one month, after both, and before the next seal."""
    for month in (FIRST_MONTH, SECOND_MONTH):
        await drop(owner, month)
        assert await damage_in_database(engine) is None
        async with sealer_of(engine) as sealer:
            await seal_all(sealer)
        await exporter(engine, store).export_once()

        for tenant in ("acme", "globex"):
            assert await damage_in_database(engine, tenant) is None
            assert await damage_in_export(store, engine, tenant) is None
            assert await damage_in_export(store, tenant=tenant) is None
    assert [record.partition for record in await records(engine)] == [FIRST_MONTH, SECOND_MONTH]


async def test_what_is_left_is_shown_and_proved(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Also an entry whose neighbours in the segment are gone; what is gone is not among them."""
    await drop(owner, FIRST_MONTH)

    async with looking(engine) as connection:
        *_, oldest = await reading.newest(connection, "acme", resource=("order", "1"), limit=20)
        proof = await reading.proof_of(connection, "acme", oldest)
    assert (oldest.id, proof and (proof.seal.number, proof.index)) == (5, (2, 1))
    assert proof
    assert merkle.root_from(merkle.leaf(oldest.line), 1, 3, proof.path) == proof.seal.root


async def test_nobody_waits_for_the_records(engine: AsyncEngine, owner: AsyncEngine, store: MemoryStore) -> None:
    """While the owner looks through the month, entries are written, sealed, exported and verified."""
    async with owner.begin() as connection:
        await let_read(connection, FIRST_MONTH)
    async with owner.begin() as connection, sealer_of(engine) as sealer, asyncio.timeout(20):
        await before_drop(connection, FIRST_MONTH)

        await given_entries(engine, 1)
        await sealer.seal_once()
        await exporter(engine, store).export_once()
        assert await damage_in_database(engine) is None
        await connection.execute(text(f"DROP TABLE {FIRST_MONTH}"))

    assert await damage_in_database(engine) is None


async def test_nobody_slips_an_entry_into_the_month(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Between the record and the drop an entry of that month has to wait: it would go without a record."""
    async with owner.begin() as connection:
        await let_read(connection, FIRST_MONTH)
    async with owner.begin() as connection, engine.begin() as writer:
        await before_drop(connection, FIRST_MONTH)
        await writer.execute(text("SET LOCAL lock_timeout = '50ms'"))

        with pytest.raises(DBAPIError, match="lock timeout"):
            await writer.execute(INSERT, {"at": JANUARY, "tenant": "acme"})


async def test_a_month_may_be_dropped_while_one_verifies(
    engine: AsyncEngine, owner: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that were there at the beginning, and are not any more, are no damage."""
    entries, dropping = reading.entries, [FIRST_MONTH]

    async def after_a_drop(connection: AsyncConnection, tenant: str, **bounds: int) -> object:
        if dropping and "table" not in bounds:
            await drop(owner, dropping.pop())
        return await entries(connection, tenant, **bounds)  # type: ignore[arg-type] # `table` is a text

    monkeypatch.setattr(reading, "entries", after_a_drop)

    assert await damage_in_database(engine) is None
    assert dropping == []


async def test_a_long_log_is_read_in_parts(
    engine: AsyncEngine, owner: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seal by seal, whatever their number."""
    monkeypatch.setattr("app.patterns.audit_log.dropping._SEALS_AT_ONCE", 1)
    await drop(owner, FIRST_MONTH)

    assert [record.entries for record in await records(engine)] == [5]
    assert await damage_in_database(engine) is None


async def _refused(owner: AsyncEngine, partition: str, match: str) -> None:
    """Try to drop, and find that nothing was written, also if the transaction goes on."""
    async with owner.begin() as connection:
        with pytest.raises(NotDroppable, match=match):
            await before_drop(connection, partition)
        assert await connection.scalar(text("SELECT count(*) FROM audit_dropped")) == 0


async def _readable(engine: AsyncEngine, partition: str = FIRST_MONTH) -> None:
    async with engine.begin() as connection:
        await let_read(connection, partition)


async def test_what_is_not_sealed_is_not_dropped(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """One entry is enough."""
    await _readable(engine)
    await given_entries_at(engine, JANUARY)

    await _refused(owner, FIRST_MONTH, "tenant acme: the entries of audit_log_2020_01 are not sealed after id 9")


async def test_an_entry_of_a_tenant_without_seals_is_not_dropped(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Nothing of that tenant was ever sealed."""
    await _readable(engine)
    await given_entries_at(engine, JANUARY, tenant="initech")

    await _refused(owner, FIRST_MONTH, "tenant initech: the entries of audit_log_2020_01 are not sealed")


async def test_what_is_not_exported_is_not_dropped(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Outside the database nothing would be left of it."""
    await tamper(engine, "DELETE FROM audit_export WHERE tenant_id = 'acme' AND number > 1")
    await _readable(engine)

    await _refused(owner, FIRST_MONTH, r"tenant acme, segment 2 \(id 4\): it is not exported")


async def test_an_entry_that_was_tampered_with_is_not_dropped(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Dropping a month does not hide what was done to it."""
    await _readable(engine)
    await tamper(engine, "UPDATE audit_log SET actor = 'bob' WHERE id = 6")

    await _refused(owner, FIRST_MONTH, r"tenant acme, segment 2 \(id 6\): it is not what was sealed")


async def test_entries_that_cannot_be_seen_are_not_dropped(owner: AsyncEngine) -> None:
    """Forced row-level security shows an owner nothing: that is not the same as nothing to record."""
    await _refused(owner, FIRST_MONTH, "row-level security hides the entries of audit_log_2020_01")


@pytest.mark.parametrize("table", ["orders_2020_01", "audit_seal", "audit_log_2019_01"])
async def test_another_table_is_refused(owner: AsyncEngine, table: str) -> None:
    """Whatever has no entries of the log is not this function's to judge."""
    await _refused(owner, table, "is no partition of the audit log")


async def test_the_month_of_this_moment_is_refused(engine: AsyncEngine, store: MemoryStore) -> None:
    """The entry that says that it is gone would go with it."""
    current, *_ = await make_ahead(engine, PartitionSettings(months_ahead=1), SystemClock())
    await given_entries(engine, 1)
    async with sealer_of(engine) as sealer:
        await seal_all(sealer)
    await exporter(engine, store).export_once()

    await _refused(engine, current, f"{current} is where new entries go")


async def test_the_owner_sees_no_entry(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """It sees seals, and writes nothing into the log but that a month is gone."""
    async with owner.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM audit_log")) == 0
        assert await connection.scalar(text("SELECT count(*) FROM audit_seal")) == len(await sealed(engine)) == 5
        with pytest.raises(DBAPIError, match="row-level security"):
            await connection.execute(
                text("""
                INSERT INTO audit_log (tenant_id, actor, request_id, trace_id, action, resource_type, resource_id)
                VALUES ('acme', 'a', '', '', 'order.placed', 'order', '1')
                """)
            )


async def test_the_sealer_looks_into_each_month_by_its_index(engine: AsyncEngine) -> None:
    """So the months before cost it one step each."""
    await make_ahead(engine, PartitionSettings(months_ahead=1), ManualClock(JANUARY))
    async with engine.begin() as connection:
        await connection.execute(MANY, {"months": [JANUARY, FEBRUARY]})
        await connection.execute(text("ANALYZE audit_log"))
        read = "SELECT * FROM audit_log WHERE id > 9000 AND id <= 9100 ORDER BY id LIMIT 10000"
        last = "SELECT max(id) FROM audit_log"
        plans = [list(await connection.scalars(text(f"EXPLAIN {query}"))) for query in (read, last)]

    for plan in plans:
        scans = {line.split(" using ")[1].split()[0] for line in plan if " using " in line}
        assert scans >= {f"{FIRST_MONTH}_id_idx", f"{SECOND_MONTH}_id_idx"}
        assert not any("Seq Scan on audit_log_2020" in line for line in plan)
