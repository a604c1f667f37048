"""patterns/audit_log: entries are kept with their transaction, cannot be changed, and are sealed once each."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.kit.context import Context, bind
from app.kit.db import transaction
from app.patterns.audit_log import Sealer, telemetry
from app.patterns.audit_log.sealer import ADVISORY_LOCK
from tests.support.audit import SETTINGS, acting_as, damage_in_database, given_entries, seal_all, sealed, write
from tests.support.eventually import eventually


@pytest.fixture
def sealer(jobs_engine: AsyncEngine) -> Sealer:
    return Sealer(jobs_engine, ManualClock(), SETTINGS)


@pytest.fixture
async def user_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that may do what a request may."""
    async with acting_as("app_user", database_url) as engine:
        yield engine


@pytest.fixture
async def jobs_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that may do what the worker's jobs may."""
    async with acting_as("app_jobs", database_url) as engine:
        yield engine


async def test_an_entry_says_who_did_what_to_which(engine: AsyncEngine, user_engine: AsyncEngine) -> None:
    """Actor, tenant, request and trace come from the work in hand; of the states there are digests."""
    span = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=False))
    with bind(Context(request_id="r-1", tenant="acme", actor="ann")), trace.use_span(span):
        async with transaction(user_engine) as session:
            await write(session, 7)

    async with engine.connect() as connection:
        entry = (await connection.execute(text("SELECT * FROM audit_log"))).one()
    assert (entry.tenant_id, entry.actor, entry.request_id) == ("acme", "ann", "r-1")
    assert entry.trace_id == f"{0xA1:032x}"
    assert (entry.action, entry.resource_type, entry.resource_id) == ("order.placed", "order", "7")
    assert (entry.before, entry.after) == (
        sha256(b'{"state":"pending"}').digest(),
        sha256(b'{"state":"placed"}').digest(),
    )


async def test_an_entry_of_a_transaction_that_fails_is_not_kept(engine: AsyncEngine, sealer: Sealer) -> None:
    """What was not done is not in the log."""
    with bind(Context(tenant="acme")):
        async with transaction(engine) as session:
            await write(session, 1)
            await session.rollback()

    assert await seal_all(sealer) == 0


async def test_entries_are_sealed_per_tenant_and_in_a_chain(engine: AsyncEngine, sealer: Sealer) -> None:
    """A pass makes one segment for each tenant that has done something, numbered from 1."""
    await given_entries(engine, 1, 2, 3)
    await given_entries(engine, 1, tenant="globex")
    await seal_all(sealer)
    await given_entries(engine, 4)
    await seal_all(sealer)

    assert await sealed(engine) == [("acme", 1, 3), ("acme", 2, 1), ("globex", 1, 1)]
    assert await damage_in_database(engine) is None
    assert await damage_in_database(engine, "globex") is None


async def test_an_entry_that_is_committed_late_is_sealed_too(engine: AsyncEngine, sealer: Sealer) -> None:
    """A slow transaction holds an id below those of faster ones: nothing beyond it is sealed before it has ended."""
    with bind(Context(tenant="acme")):
        async with transaction(engine) as slow:
            await write(slow, 1)
            for number in range(2, 6):
                await given_entries(engine, number)
                await sealer.seal_once()
            assert await sealed(engine) == []
    await seal_all(sealer)

    assert sum(size for _, _, size in await sealed(engine)) == 5
    assert await damage_in_database(engine) is None


async def test_a_transaction_above_the_last_one_that_ended_is_waited_for(engine: AsyncEngine, sealer: Sealer) -> None:
    """A writer that began last, took its id first and is slow: the snapshot's upper bound does not know of it."""
    with bind(Context(tenant="acme")):
        async with transaction(engine) as fast:
            await fast.execute(text("SELECT pg_current_xact_id()"))
            async with transaction(engine) as slow:
                await write(slow, 1)
                await write(fast, 2)
                await fast.commit()
                for _ in range(3):
                    await sealer.seal_once()
                assert await sealed(engine) == []
    await seal_all(sealer)

    assert [size for _, _, size in await sealed(engine)] == [2]


async def test_of_many_writers_each_entry_is_sealed_once(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """Two sealers run beside eight writers of two tenants: no entry is lost, and none is in two segments."""
    sealers = [Sealer(jobs_engine, ManualClock(), SETTINGS) for _ in range(2)]
    writing = asyncio.Event()

    async def write_many(tenant: str) -> None:
        with bind(Context(tenant=tenant)):
            for number in range(0, 50, 2):
                async with transaction(engine) as session:
                    await write(session, number, tenant)
                    await write(session, number + 1, tenant)

    async def seal(sealer: Sealer) -> None:
        while not writing.is_set():
            await sealer.seal_once()

    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(seal(sealer)) for sealer in sealers]
        async with asyncio.TaskGroup() as writers:
            for number in range(8):
                writers.create_task(write_many("acme" if number % 2 else "globex"))
        writing.set()
        await asyncio.gather(*background)
    await seal_all(sealers[0])

    segments = await sealed(engine)
    assert sum(size for tenant, _, size in segments if tenant == "acme") == 200
    assert sum(size for tenant, _, size in segments if tenant == "globex") == 200
    assert len(segments) > 2
    assert (await damage_in_database(engine), await damage_in_database(engine, "globex")) == (None, None)


async def test_a_second_sealer_does_not_wait(engine: AsyncEngine, sealer: Sealer) -> None:
    """While one is at work, the other passes by."""
    await given_entries(engine, 1)
    await sealer.seal_once()
    async with engine.begin() as other:
        await other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        assert await sealer.seal_once() == 0

    assert await eventually(sealer.seal_once) == 1


async def test_a_sealer_that_dies_has_sealed_nothing(
    engine: AsyncEngine, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that breaks off leaves its entries to the next one."""
    await given_entries(engine, 1, 2)
    await sealer.seal_once()
    with monkeypatch.context() as patch:
        patch.setattr("app.patterns.audit_log.sealer.audit_seal", "no table")
        with pytest.raises(Exception, match="no table"):
            await eventually(sealer.seal_once)

    assert await seal_all(sealer) == 2
    assert await damage_in_database(engine) is None


async def test_a_long_backlog_is_sealed_in_parts(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """One pass takes no more than it may, and the rest follows at once."""
    sealer = Sealer(jobs_engine, ManualClock(), SETTINGS.model_copy(update={"entries_per_pass": 2}))
    await given_entries(engine, *range(5))

    assert await seal_all(sealer) == 5
    assert [size for _, _, size in await sealed(engine)] == [2, 2, 1]


async def test_the_age_is_known_also_while_each_pass_fails(engine: AsyncEngine, sealer: Sealer) -> None:
    """A sealer that may not seal does not look like one that has nothing to do."""
    await given_entries(engine, 1)
    async with engine.begin() as owner:
        await owner.execute(text("REVOKE INSERT ON audit_seal FROM app_jobs"))
    stop, before = asyncio.Event(), _sample("audit_seal_failures_total")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sealer.run(stop))
        await eventually(lambda: _sample("audit_seal_failures_total") > before)
        telemetry.OLDEST_UNSEALED_SECONDS.set(0)
        await eventually(lambda: _sample("audit_oldest_unsealed_seconds") > 0)
        stop.set()


def _sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0


async def test_the_age_of_the_oldest_unsealed_entry_is_known(engine: AsyncEngine, sealer: Sealer) -> None:
    """It grows while nobody seals, and is 0 when all is sealed."""
    await given_entries(engine, 1)
    waiting = await sealer.observe()
    await seal_all(sealer)

    assert waiting > 0
    assert await sealer.observe() == 0
