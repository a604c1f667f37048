"""patterns/inbox/forgetting.py: the inbox is bounded, and forgets nothing too early."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from app.patterns.inbox import Forgetting, InboxSettings
from app.patterns.tenancy import JOBS_ROLE
from tests.support.eventually import eventually
from tests.support.log_lines import configured_log
from tests.support.outbox import Counted

KEPT = InboxSettings(kept_days=7)
GIVEN = text("""
    INSERT INTO inbox (consumer, event_id, handled_at)
    SELECT 'test', gen_random_uuid(),
           clock_timestamp() - make_interval(hours => :hours) + make_interval(secs => n / 1000.0)
    FROM generate_series(1, :count) n
""")


@pytest.fixture
async def jobs_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with the rights that the worker's jobs have."""
    engine = create_engine(DatabaseSettings.model_validate({"url": database_url}), application_name="t", role=JOBS_ROLE)
    yield engine
    await engine.dispose()


async def given_handled(engine: AsyncEngine, count: int, *, hours_ago: float) -> None:
    """Remember events as handled so long ago."""
    async with engine.begin() as connection:
        await connection.execute(GIVEN, {"count": count, "hours": int(hours_ago)})


async def remembered(engine: AsyncEngine) -> int:
    """Return how many events the inbox holds."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM inbox")) or 0)


async def test_what_is_older_than_the_kept_period_is_forgotten(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """In batches until nothing old is left; what is younger stays, and what went is counted and told."""
    counted = Counted("inbox_events_forgotten_total")
    await given_handled(engine, 2500, hours_ago=7 * 24 + 1)
    await given_handled(engine, 3, hours_ago=7 * 24 - 1)

    with configured_log() as log:
        forgotten = await Forgetting(jobs_engine, KEPT).forget()
        told = [line["rows"] for line in log.lines if line["event"] == "inbox.events_forgotten"]

    assert forgotten == counted.more == 2500
    assert told == [2500]
    assert await remembered(engine) == 3


async def test_events_that_grow_old_later_are_forgotten_later(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """A pass starts where the one before it ended, and misses nothing that has become old since."""
    forgetting = Forgetting(jobs_engine, KEPT)
    await given_handled(engine, 10, hours_ago=200)
    await forgetting.forget()
    await given_handled(engine, 10, hours_ago=190)

    assert await forgetting.forget() == 10
    assert await remembered(engine) == 0


async def test_events_handled_at_the_same_moment_as_the_last_of_a_batch_are_not_missed(
    engine: AsyncEngine, jobs_engine: AsyncEngine
) -> None:
    """The next batch begins at that moment, not after it."""
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO inbox SELECT 'test', gen_random_uuid(), '2026-01-01' FROM generate_series(1, 1500)")
        )

    assert await Forgetting(jobs_engine, KEPT).forget() == 1500


async def test_while_one_worker_forgets_the_others_do_nothing(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """They neither wait nor do the work twice."""
    await given_handled(engine, 5, hours_ago=200)
    first, second = Forgetting(jobs_engine, KEPT), Forgetting(jobs_engine, KEPT)

    async with jobs_engine.begin() as connection:
        assert await first._forget_batch(connection) == 5
        assert await second.forget() == 0

    assert await remembered(engine) == 0


async def test_workers_at_once_forget_each_event_once(engine: AsyncEngine, jobs_engine: AsyncEngine) -> None:
    """Whoever comes first, together they have forgotten all."""
    await given_handled(engine, 4000, hours_ago=200)
    workers = [Forgetting(jobs_engine, KEPT) for _ in range(3)]

    forgotten = await asyncio.gather(*(worker.forget() for worker in workers))
    rest = await workers[0].forget()

    assert sum(forgotten) + rest == 4000
    assert await remembered(engine) == 0


async def test_the_job_survives_a_database_that_fails() -> None:
    """It says so and tries again later; a stop ends it at once."""
    broken = create_engine(
        DatabaseSettings.model_validate({"url": "postgresql+asyncpg://nobody@127.0.0.1:1/none"}), application_name="t"
    )
    stop = asyncio.Event()

    with configured_log() as log:
        running = asyncio.create_task(Forgetting(broken, KEPT).run(stop))
        await eventually(lambda: [line for line in log.lines if line["event"] == "inbox.forgetting_failed"])
        stop.set()
        await asyncio.wait_for(running, 5)

    assert running.exception() is None


async def test_finding_what_is_old_takes_no_walk_over_the_table(engine: AsyncEngine) -> None:
    """The plan of the search uses the index by time, however few rows are old."""
    await given_handled(engine, 20_000, hours_ago=1)
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE inbox"))
        plan = await connection.execute(
            text(
                "EXPLAIN SELECT FROM inbox WHERE handled_at >= '-infinity'"
                " AND handled_at < clock_timestamp() - make_interval(days => 7) ORDER BY handled_at LIMIT 1000"
            )
        )

    assert "inbox_handled_at_idx" in "\n".join(plan.scalars())
