"""patterns/audit_log: whatever a superuser does to sealed entries, in the database or in the export, is named.

Each attack meets a log of three segments of three, with entries 1 to 9 of `acme`; the second tenant, `globex`, has two
segments of two. In the database the triggers are off meanwhile.
"""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.audit import (
    MemoryStore,
    damage_in_database,
    damage_in_export,
    exported_one_by_one,
    given_entries,
    given_segments,
    seal_all,
    sealer_of,
    tamper,
)

EDIT = "UPDATE audit_log SET actor = 'bob' WHERE id = 5"


@pytest.fixture
async def log(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Yield a database that holds both logs."""
    async with sealer_of(engine) as sealer:
        await given_segments(engine, sealer, 3, 3, 3)
        await given_segments(engine, sealer, 2, 2, tenant="globex")
        yield engine


@pytest.fixture
async def store(log: AsyncEngine) -> MemoryStore:
    """Return a storage to which each segment of both logs has been exported, in an object of its own."""
    return await exported_one_by_one(log)


IN_DATABASE = {
    "edited": (
        [EDIT],
        "segment 2, entry 2 (id 5): edited",
    ),
    "digest edited": (
        ["UPDATE audit_log SET after = before WHERE id = 5"],
        "segment 2, entry 2 (id 5): edited",
    ),
    "time edited": (
        ["UPDATE audit_log SET recorded_at = recorded_at - interval '1 microsecond' WHERE id = 5"],
        "segment 2, entry 2 (id 5): edited",
    ),
    "deleted": (
        ["DELETE FROM audit_log WHERE id = 5"],
        "segment 2, entry 2: deleted",
    ),
    "inserted": (
        [
            """
            INSERT INTO audit_log (id, tenant_id, actor, request_id, trace_id, action, resource_type, resource_id)
            VALUES (0, 'acme', 'bob', '', '', 'order.placed', 'order', '5')
            """,
        ],
        "segment 1, entry 1 (id 0): inserted",
    ),
    "reordered": (
        [
            "UPDATE audit_log SET id = -5 WHERE tenant_id = 'acme' AND id = 5",
            "UPDATE audit_log SET id = 5 WHERE tenant_id = 'acme' AND id = 6",
            "UPDATE audit_log SET id = 6 WHERE tenant_id = 'acme' AND id = -5",
        ],
        "segment 2, entry 2 (id 5): edited",
    ),
    "tail truncated": (
        ["DELETE FROM audit_log WHERE tenant_id = 'acme' AND id >= 8"],
        "segment 3, entry 2: deleted",
    ),
    "tail truncated with its seal, others' later": (
        ["DELETE FROM audit_seal WHERE tenant_id = 'acme' AND number = 3"],
        "segment 3, entry 1 (id 7): inserted after its time was sealed, or its seal was deleted",
    ),
    "swapped tenants, where it is missing": (
        ["UPDATE audit_log SET tenant_id = 'globex' WHERE tenant_id = 'acme' AND id = 5"],
        "segment 2, entry 2: deleted",
    ),
    "swapped seals of tenants": (
        [
            "UPDATE audit_seal SET tenant_id = 'nobody' WHERE tenant_id = 'acme' AND number = 2",
            "UPDATE audit_seal SET tenant_id = 'acme' WHERE tenant_id = 'globex' AND number = 2",
            "UPDATE audit_seal SET tenant_id = 'globex' WHERE tenant_id = 'nobody'",
        ],
        "segment 2: the seal does not have the hash that it says",
    ),
    "seal in the middle deleted": (
        ["DELETE FROM audit_seal WHERE tenant_id = 'acme' AND number = 2"],
        "segment 2: deleted: segment 3 follows",
    ),
    "leaf edited with its entry": (
        [
            EDIT,
            """
            UPDATE audit_seal SET leaves = overlay(leaves placing sha256('x') from 33)
            WHERE tenant_id = 'acme' AND number = 2
            """,
        ],
        "segment 2: the leaves of the seal do not add up to its root",
    ),
    "time of a seal edited": (
        ["UPDATE audit_seal SET sealed_at = now() WHERE tenant_id = 'acme' AND number = 2"],
        "segment 2: the seal does not have the hash that it says",
    ),
}


@pytest.mark.parametrize(("statements", "position"), IN_DATABASE.values(), ids=IN_DATABASE)
async def test_tampering_in_the_database_is_named(log: AsyncEngine, statements: list[str], position: str) -> None:
    """The first position that is not what was sealed, with the entry's id where there is one."""
    assert await damage_in_database(log) is None

    await tamper(log, *statements)

    assert str(await damage_in_database(log)).startswith(f"database: tenant acme, {position}")


async def test_an_entry_given_to_another_tenant_is_named_there_too(log: AsyncEngine) -> None:
    """Where it was it is missing, and where it is now it is too much."""
    await tamper(log, "UPDATE audit_log SET tenant_id = 'globex' WHERE tenant_id = 'acme' AND id = 5")

    damage = await damage_in_database(log, "globex")

    assert str(damage) == "database: tenant globex, segment 1, entry 1 (id 5): inserted"


async def test_an_entry_given_to_a_tenant_without_any_is_named(log: AsyncEngine) -> None:
    """A tenant that has no seal has no entries from a time that is sealed."""
    await tamper(log, "UPDATE audit_log SET tenant_id = 'initech' WHERE tenant_id = 'acme' AND id = 5")

    assert "segment 1, entry 1 (id 5): inserted" in str(await damage_in_database(log, "initech"))


async def test_what_is_not_sealed_yet_is_no_damage(log: AsyncEngine) -> None:
    """Entries of this moment wait for the sealer."""
    await given_entries(log, 10)

    assert await damage_in_database(log) is None


REWRITTEN = {
    "tail truncated with its seal and the note of its export": (
        [
            "DELETE FROM audit_log WHERE tenant_id = 'acme' AND id >= 7",
            "DELETE FROM audit_seal WHERE tenant_id = 'acme' AND number = 3",
            "DELETE FROM audit_export WHERE tenant_id = 'acme' AND number = 3",
        ],
        "database: tenant acme, segment 3: deleted: the export has it",
    ),
    "everything deleted": (
        ["DELETE FROM audit_log", "DELETE FROM audit_seal", "DELETE FROM audit_export"],
        "database: tenant acme, segment 1: deleted: the export has it",
    ),
}


@pytest.mark.parametrize(("statements", "position"), REWRITTEN.values(), ids=REWRITTEN)
async def test_what_was_exported_cannot_be_undone_in_the_database(
    log: AsyncEngine, store: MemoryStore, statements: list[str], position: str
) -> None:
    """The anchor is outside: a database without a contradiction in itself contradicts the export."""
    await tamper(log, *statements)

    assert await damage_in_database(log) is None
    assert str(await damage_in_export(store, log)) == position


async def test_a_log_that_was_sealed_anew_is_named(log: AsyncEngine, store: MemoryStore) -> None:
    """Whoever changes an entry and computes all hashes again has another log than the one that was exported."""
    await tamper(
        log,
        EDIT,
        "DELETE FROM audit_seal",
    )
    async with sealer_of(log) as sealer:
        await seal_all(sealer)

    assert str(await damage_in_export(store, log)).startswith("database: tenant acme, segment 1: sealed again")
