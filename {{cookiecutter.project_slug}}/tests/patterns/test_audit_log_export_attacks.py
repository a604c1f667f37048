"""patterns/audit_log: whatever is done to what was exported is named, also without the database.

Each attack meets the objects of three segments of three, with entries 1 to 9 of `acme`, an object each; the second
tenant, `globex`, has two segments of two. The storage of these tests lets itself be tampered with.
"""

from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.audit_log.archive import object_name
from tests.support.audit import MemoryStore, damage_in_export, exported_one_by_one, given_segments, sealer_of

FIRST, SECOND, THIRD = (object_name("acme", number) for number in (1, 2, 3))
Objects = dict[str, bytes]


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


def _lines(objects: Objects, name: str) -> list[bytes]:
    return objects[name].splitlines(keepends=True)


def _edit(objects: Objects) -> None:
    objects[SECOND] = objects[SECOND].replace(b'"resource_id":"5"', b'"resource_id":"6"')


def _delete(objects: Objects) -> None:
    lines = _lines(objects, SECOND)
    objects[SECOND] = b"".join(lines[:2] + lines[3:])


def _insert(objects: Objects) -> None:
    lines = _lines(objects, SECOND)
    objects[SECOND] = b"".join([*lines[:2], lines[2].replace(b'"5"', b'"55"'), *lines[2:]])


def _reorder(objects: Objects) -> None:
    seal, first, second, third = _lines(objects, SECOND)
    objects[SECOND] = seal + first + third + second


def _truncate_object(objects: Objects) -> None:
    objects[THIRD] = b"".join(_lines(objects, THIRD)[:2])


def _truncate(objects: Objects) -> None:
    for name in [name for name in objects if name.startswith("acme/000000000003")]:
        del objects[name]


def _cut_out(objects: Objects) -> None:
    del objects[SECOND]


def _swap_tenants(objects: Objects) -> None:
    other = object_name("globex", 2)
    objects[SECOND], objects[other] = objects[other], objects[SECOND]


def _swap_objects(objects: Objects) -> None:
    objects[SECOND], objects[THIRD] = objects[THIRD], objects[SECOND]


def _garble(objects: Objects) -> None:
    objects[SECOND] = objects[SECOND].replace(b'"root":"', b'"root":"x', 1)


def _empty(objects: Objects) -> None:
    objects[SECOND] = b""


def _other_checkpoint(objects: Objects) -> None:
    objects[FIRST.replace("ndjson", "checkpoint.json")] = objects[SECOND.replace("ndjson", "checkpoint.json")]


IN_EXPORT = {
    "edited": (_edit, "segment 2, entry 2 (id 5): edited"),
    "deleted": (_delete, "segment 2, entry 2: deleted"),
    "inserted": (_insert, "segment 2, entry 2 (id 5): inserted"),
    "reordered": (_reorder, "segment 2, entry 2 (id 6): moved"),
    "truncated within": (_truncate_object, "segment 3, entry 2: deleted"),
    "tail truncated": (_truncate, "segment 3: deleted: the log was exported up to segment 3"),
    "cut out": (_cut_out, "segment 2: deleted"),
    "swapped tenants": (_swap_tenants, "segment 2: the seal is another tenant's"),
    "swapped objects": (_swap_objects, "segment 2: deleted: segment 3 follows"),
    "garbled": (_garble, f"segment 2: line 1 of {SECOND} cannot be read"),
    "empty": (_empty, f"segment 2: line 1 of {SECOND} cannot be read"),
    "another checkpoint": (_other_checkpoint, "segment 1: the checkpoint says something else"),
}
ALONE = {name: case for name, case in IN_EXPORT.items() if name != "tail truncated"}


@pytest.mark.parametrize(("attack", "position"), IN_EXPORT.values(), ids=IN_EXPORT)
async def test_tampering_in_the_export_is_named(
    log: AsyncEngine, store: MemoryStore, attack: Callable[[Objects], None], position: str
) -> None:
    """With the database at hand, each attack is named, also the loss of the newest objects."""
    assert await damage_in_export(store, log) is None

    attack(store.objects)

    assert str(await damage_in_export(store, log)).startswith(f"export: tenant acme, {position}")


@pytest.mark.parametrize(("attack", "position"), ALONE.values(), ids=ALONE)
async def test_the_export_alone_names_it_too(
    store: MemoryStore, attack: Callable[[Objects], None], position: str
) -> None:
    """Whoever has the objects and no database sees all but the loss of the newest, which Object Lock prevents."""
    assert await damage_in_export(store) is None

    attack(store.objects)

    assert str(await damage_in_export(store)).startswith(f"export: tenant acme, {position.partition(': the log')[0]}")
