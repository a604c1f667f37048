"""patterns/audit_log: what was recorded as dropped is excused, and whatever a superuser does beyond that is named.

Each attack meets a log of `acme` from whose segments 1 to 3 a month was dropped: ids 1 to 4 and 6, while 5 and 7 to 9
are there; the entry that says so is the only one of segment 4, with id 13.
"""

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.audit import (
    MemoryStore,
    damage_in_database,
    damage_in_export,
    exported_one_by_one,
    exporter,
    seal_all,
    sealer_of,
    tamper,
)
from tests.support.audit_months import (
    FIRST_MONTH,
    SECOND_MONTH,
    drop,
    forged,
    given_months,
    put,
    records,
)

ANNOUNCE = """
    INSERT INTO audit_log (tenant_id, actor, request_id, trace_id, action, resource_type, resource_id, after)
    VALUES ('acme', 'bob', '', '', 'audit_log.dropped', 'audit_log', 'audit_log_2020_02', '{hash}')
"""
NO_ENTRY = "recorded as dropped with audit_log_2020_01, which no entry says"
PUT_BACK = "INSERT INTO audit_log OVERRIDING SYSTEM VALUE SELECT * FROM kept WHERE id = {id}"
ALTERED = "UPDATE kept SET actor = 'bob'"


@pytest.fixture
async def store(engine: AsyncEngine) -> MemoryStore:
    """Return the storage to which everything was exported before the month was dropped."""
    await given_months(engine)
    return await exported_one_by_one(engine)


@pytest.fixture
async def log(engine: AsyncEngine, store: MemoryStore) -> AsyncEngine:
    """Return a database from which the month is gone; the table `kept` has its entries."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE kept AS SELECT * FROM audit_log_2020_01"))
    await drop(engine, FIRST_MONTH)
    await seal_and_export(engine, store)
    return engine


async def seal_and_export(engine: AsyncEngine, store: MemoryStore) -> None:
    """Do what the worker does."""
    async with sealer_of(engine) as sealer:
        await seal_all(sealer)
    await exporter(engine, store).export_once()


IN_DATABASE = {
    "one more deleted, between those that went": (
        ["DELETE FROM audit_log WHERE id = 5"],
        "segment 2, entry 2: deleted",
    ),
    "one more deleted, after those that went": (
        ["DELETE FROM audit_log WHERE id = 8"],
        "segment 3, entry 2: deleted",
    ),
    "a whole segment more deleted": (
        ["DELETE FROM audit_log WHERE id BETWEEN 7 AND 9"],
        "segment 3, entry 1: deleted",
    ),
    "the entry beside those that went edited": (
        ["UPDATE audit_log SET actor = 'bob' WHERE id = 5"],
        "segment 2, entry 2 (id 5): edited",
    ),
    "put back as it was": (
        [PUT_BACK.format(id=2)],
        "segment 1, entry 2 (id 2): is there, and was recorded as dropped with audit_log_2020_01",
    ),
    "put back as it was, beside others": (
        [PUT_BACK.format(id=6)],
        "segment 2, entry 3 (id 6): is there, and was recorded as dropped with audit_log_2020_01",
    ),
    "put back altered": (
        [ALTERED, PUT_BACK.format(id=2)],
        "segment 1 (id 2): inserted",
    ),
    "put back altered, beside others": (
        [ALTERED, PUT_BACK.format(id=6)],
        "segment 2 (id 6): inserted",
    ),
    "put back altered, before others": (
        [ALTERED, PUT_BACK.format(id=4)],
        "segment 2 (id 4): inserted",
    ),
    "put back altered, under a free id": (
        [ALTERED, "UPDATE kept SET id = -1 WHERE id = 2", PUT_BACK.format(id=-1)],
        "segment 1 (id -1): inserted",
    ),
    "record deleted": (
        ["DELETE FROM audit_dropped WHERE tenant_id = 'acme'"],
        "segment 1, entry 1: deleted",
    ),
    "record deleted, and all put back": (
        ["DELETE FROM audit_dropped WHERE tenant_id = 'acme'", PUT_BACK.format(id="id AND tenant_id = 'acme'")],
        "segment 4, entry 1 (id 13): says that a month was dropped, and the record of that is missing or was changed",
    ),
    "positions of the record edited": (
        ["UPDATE audit_dropped SET positions = '{[1,10)}' WHERE tenant_id = 'acme'"],
        "segment 1, entry 1: the record that audit_log_2020_01 was dropped was changed",
    ),
    "positions of the record deleted": (
        ["UPDATE audit_dropped SET positions = '{}' WHERE tenant_id = 'acme'"],
        "segment 1, entry 1: the record that audit_log_2020_01 was dropped was changed",
    ),
    "positions of the record without an end": (
        ["UPDATE audit_dropped SET positions = '{(,)}' WHERE tenant_id = 'acme'"],
        "segment 1: the record that audit_log_2020_01 was dropped was changed",
    ),
    **{
        f"{column} of the record edited": (
            [f"UPDATE audit_dropped SET {column} = {value} WHERE tenant_id = 'acme'"],  # noqa: S608 - of this file
            f"segment 1, entry 1: the record that {name} was dropped was changed",
        )
        for column, value, name in (
            ("number", "2", FIRST_MONTH),
            ("partition", "'audit_log_2020_03'", "audit_log_2020_03"),
            ("first_id", "0", FIRST_MONTH),
            ("last_id", "7", FIRST_MONTH),
            ("entries", "6", FIRST_MONTH),
            ("root", "sha256('x')", FIRST_MONTH),
            ("previous", "sha256('x')", FIRST_MONTH),
            ("hash", "sha256('x')", FIRST_MONTH),
            ("dropped_at", "now()", FIRST_MONTH),
        )
    },
    "records of tenants swapped": (
        [
            "UPDATE audit_dropped SET tenant_id = 'nobody' WHERE tenant_id = 'acme'",
            "UPDATE audit_dropped SET tenant_id = 'acme' WHERE tenant_id = 'globex'",
        ],
        "segment 1, entry 1: the record that audit_log_2020_01 was dropped was changed",
    ),
    "the entry that says so deleted": (
        ["DELETE FROM audit_log WHERE id = 13"],
        f"segment 1, entry 1: {NO_ENTRY}",
    ),
    "the entry that says so edited": (
        ["UPDATE audit_log SET after = sha256('x') WHERE id = 13"],
        f"segment 1, entry 1: {NO_ENTRY}",
    ),
    "its month edited in the entry that says so": (
        ["UPDATE audit_log SET resource_id = 'audit_log_2020_02' WHERE id = 13"],
        "segment 4, entry 1 (id 13): edited",
    ),
    "another entry that says so": (
        [ANNOUNCE.format(hash="x")],
        "segment 5 (id 15): says that a month was dropped, and the record of that is missing or was changed",
    ),
}


@pytest.mark.parametrize(("statements", "position"), IN_DATABASE.values(), ids=IN_DATABASE)
async def test_tampering_beyond_what_was_dropped_is_named(
    log: AsyncEngine, statements: list[str], position: str
) -> None:
    """The first position that is neither what was sealed nor what was recorded as dropped."""
    assert await damage_in_database(log) is None

    await tamper(log, *statements)

    assert str(await damage_in_database(log)) == f"database: tenant acme, {position}"


async def test_a_record_for_a_tenant_without_a_log_is_named(log: AsyncEngine) -> None:
    """There is nothing that could have been dropped."""
    await tamper(log, "UPDATE audit_dropped SET tenant_id = 'initech' WHERE tenant_id = 'globex'")

    assert "segment 1: the record that audit_log_2020_01 was dropped was changed" in str(
        await damage_in_database(log, "initech")
    )


async def test_a_record_that_excuses_more_is_named(log: AsyncEngine) -> None:
    """Though it has the right hash, root and number: the sealed entry has another hash."""
    await put(log, await forged(log, None, range(1, 7), partition=FIRST_MONTH))
    await tamper(log, "DELETE FROM audit_log WHERE id = 5")

    assert str(await damage_in_database(log)) == f"database: tenant acme, segment 1, entry 1: {NO_ENTRY}"


@pytest.mark.parametrize("deleted", [[], ["DELETE FROM audit_log WHERE id IN (7, 8)"]], ids=["nothing", "entries"])
async def test_a_false_record_is_named(log: AsyncEngine, deleted: list[str]) -> None:
    """It follows the true one in every respect, but no entry stands for it; whether or not something is gone."""
    (last,) = await records(log)
    await put(log, await forged(log, last, range(7, 9), partition=SECOND_MONTH))
    await tamper(log, *deleted)

    assert str(await damage_in_database(log)) == (
        "database: tenant acme, segment 3, entry 1: recorded as dropped with audit_log_2020_02, which no entry says"
    )


async def test_a_record_of_other_leaves_is_named(log: AsyncEngine) -> None:
    """Also if somebody manages to have an entry for it: what is sealed at its positions is something else."""
    (last,) = await records(log)
    wrong = replace(await forged(log, last, range(7, 9), partition=SECOND_MONTH), root=last.root).hashed()
    await put(log, wrong)
    await tamper(log, ANNOUNCE.format(hash=f"\\x{wrong.hash.hex()}"), "DELETE FROM audit_log WHERE id IN (7, 8)")

    assert str(await damage_in_database(log)) == (
        "database: tenant acme, segment 3, entry 1: "
        "the record that audit_log_2020_02 was dropped is not about what was sealed"
    )


@pytest.fixture
async def twice(engine: AsyncEngine, store: MemoryStore) -> AsyncEngine:
    """Return a database from which two months are gone; with the second went the entry that said so of the first.

    Segment 4, id 13, was that entry; segment 5, id 15, says so of the second month.
    """
    await drop(engine, FIRST_MONTH)
    await tamper(engine, "UPDATE audit_log SET recorded_at = '2020-02-20' WHERE action = 'audit_log.dropped'")
    await seal_and_export(engine, store)
    await drop(engine, SECOND_MONTH)
    await seal_and_export(engine, store)
    return engine


async def test_the_newest_entry_stands_for_the_records_before(twice: AsyncEngine, store: MemoryStore) -> None:
    """A record whose own entry was dropped is vouched for by the next one's."""
    assert await damage_in_database(twice) is None
    assert await damage_in_export(store, twice) is None
    first, second = await records(twice)
    assert second.positions == (range(5, 6), range(7, 11))

    await put(twice, await forged(twice, None, *first.positions, partition="audit_log_2020_03"))

    assert str(await damage_in_database(twice)) == (
        "database: tenant acme, segment 2, entry 2: the record that audit_log_2020_02 was dropped was changed"
    )


DELETED = {
    1: "segment 1, entry 1: deleted",
    2: f"segment 1, entry 1: {NO_ENTRY}",  # the entry for the first one went with the second month
}


@pytest.mark.parametrize("number", DELETED)
async def test_no_record_of_several_can_be_deleted(twice: AsyncEngine, number: int) -> None:
    """Neither the first nor the newest."""
    await tamper(twice, f"DELETE FROM audit_dropped WHERE tenant_id = 'acme' AND number = {number}")  # noqa: S608

    assert str(await damage_in_database(twice)) == f"database: tenant acme, {DELETED[number]}"


async def test_what_was_deleted_before_the_month_was_dropped_is_named(engine: AsyncEngine, store: MemoryStore) -> None:
    """The record is about what was there: a drop does not cover up what was missing already."""
    assert store.objects
    await tamper(engine, "DELETE FROM audit_log WHERE id = 2")
    await drop(engine, FIRST_MONTH)

    assert str(await damage_in_database(engine)) == "database: tenant acme, segment 1, entry 2: deleted"


async def test_a_month_that_is_dropped_without_a_word_is_named(log: AsyncEngine) -> None:
    """No trigger and no policy keeps an owner from dropping a table; the seals do not forget what was in it."""
    async with log.begin() as connection:
        await connection.execute(text(f"DROP TABLE {SECOND_MONTH}"))

    assert str(await damage_in_database(log)) == "database: tenant acme, segment 2, entry 2: deleted"
    assert str(await damage_in_database(log, "globex")) == "database: tenant globex, segment 2, entry 1: deleted"


async def test_records_rewritten_from_the_first_on_are_named_by_the_export(
    twice: AsyncEngine, store: MemoryStore
) -> None:
    """Whoever forges a drop of everything, with the entry for it, has a database without a contradiction in itself."""
    whole = await forged(twice, None, range(1, 12), partition=SECOND_MONTH)
    await tamper(twice, "DELETE FROM audit_dropped WHERE tenant_id = 'acme'", "DELETE FROM audit_log WHERE id = 15")
    await put(twice, whole)
    await tamper(twice, ANNOUNCE.format(hash=f"\\x{whole.hash.hex()}"))
    assert await damage_in_database(twice) is None

    assert str(await damage_in_export(store, twice)) == (
        "database: tenant acme, segment 4, entry 1 (id 13): "
        "says that a month was dropped, and the database has another record of that, or none"
    )
