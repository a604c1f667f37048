"""patterns/audit_log: sealed segments leave the database once each, whatever dies on the way."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.kit.clock import ManualClock
from app.patterns.audit_log import open_store
from app.patterns.audit_log.settings import AuditLogSettings
from tests.support.audit import (
    SETTINGS,
    MemoryStore,
    acting_as,
    damage_in_export,
    exporter,
    given_segments,
    sealer_of,
    tamper,
)

EDIT = "UPDATE audit_log SET actor = 'bob' WHERE id = 4"
PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()
OBJECTS = ["acme/000000000001.checkpoint.json", "acme/000000000001.ndjson"]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def log(engine: AsyncEngine) -> AsyncEngine:
    """Return a database with two sealed segments of three."""
    async with sealer_of(engine) as sealer:
        await given_segments(engine, sealer, 3, 3)
    return engine


async def test_segments_are_exported_once(log: AsyncEngine, database_url: str, store: MemoryStore) -> None:
    """One object holds what is sealed, a checkpoint stands behind it, and the next export goes on from there."""
    async with acting_as("app_jobs", database_url) as jobs_engine:
        assert await exporter(jobs_engine, store).export_once() == 2
        assert await exporter(jobs_engine, store).export_once() == 0

    assert sorted(store.objects) == OBJECTS
    async with sealer_of(log) as sealer:
        await given_segments(log, sealer, 1)
    assert await exporter(log, store).export_once() == 1
    assert len(store.objects) == 4
    assert await damage_in_export(store, log) is None


@pytest.mark.parametrize("puts", [0, 1], ids=["before the object", "before the checkpoint"])
async def test_an_export_that_breaks_off_is_finished_by_the_next(
    log: AsyncEngine, store: MemoryStore, puts: int
) -> None:
    """What is there already is read, and nothing is written twice, also when more has been sealed meanwhile."""
    store.puts_left = puts
    with pytest.raises(ConnectionError):
        await exporter(log, store).export_once()
    written = dict(store.objects)
    async with sealer_of(log) as sealer:
        await given_segments(log, sealer, 1)

    store.puts_left = None
    assert await exporter(log, store).export_once() == 3

    assert store.objects.items() >= written.items()
    assert await damage_in_export(store, log) is None


async def test_a_damaged_segment_is_not_exported(log: AsyncEngine, store: MemoryStore) -> None:
    """What comes before it is; then the export stops, says so, and others' goes on."""
    async with sealer_of(log) as sealer:
        await given_segments(log, sealer, 1, tenant="globex")
    await tamper(log, EDIT)

    with capture_logs() as logs:
        assert await exporter(log, store).export_once() == 2

    (line,) = logs
    assert (line["event"], line["log_level"]) == ("audit.export_refused", "error")
    assert "segment 2" in line["reason"]
    assert [name for name in store.objects if name.endswith(".ndjson")] == [OBJECTS[1], "globex/000000000001.ndjson"]


async def test_an_object_that_says_something_else_stops_the_export(log: AsyncEngine, store: MemoryStore) -> None:
    """Whoever was there first with another object is not overwritten, and noticed."""
    store.objects[OBJECTS[1]] = b"somebody else's\n"

    with capture_logs() as logs:
        assert await exporter(log, store).export_once() == 0

    assert [line["event"] for line in logs] == ["audit.export_refused"]


async def test_a_checkpoint_is_signed(log: AsyncEngine, store: MemoryStore) -> None:
    """With a key in the settings, whoever has the public half knows who said it."""
    signing = AuditLogSettings.model_validate({"signing_key": "00" * 32})
    await exporter(log, store, signing).export_once()

    verifying = AuditLogSettings(public_key=PUBLIC)
    other = AuditLogSettings.model_validate({"signing_key": "11" * 32})
    assert await damage_in_export(store, settings=verifying) is None
    assert "the checkpoint's signature is not of this key" in str(await damage_in_export(store, settings=other))


async def test_a_checkpoint_without_a_signature_is_not_signed(log: AsyncEngine, store: MemoryStore) -> None:
    """Leaving the signature out does not pass for a good one."""
    await exporter(log, store).export_once()

    damage = await damage_in_export(store, settings=AuditLogSettings(public_key=PUBLIC))

    assert "the checkpoint's signature is not of this key" in str(damage)


def test_nothing_is_exported_to_nowhere() -> None:
    """Without a place in the settings there is no storage."""
    assert open_store(SETTINGS, ManualClock()) is None
