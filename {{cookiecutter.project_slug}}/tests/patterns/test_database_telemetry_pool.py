"""patterns/database_telemetry.py: who has a connection, who waits for one, and how long."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import database_telemetry
from tests.support.eventually import eventually


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A measured engine with two connections."""
    settings = {"url": database_url, "pool_size": 2, "pool_timeout_seconds": 0.2}
    engine = create_engine(
        DatabaseSettings.model_validate(settings), application_name="test", poolclass=database_telemetry.MeasuredPool
    )
    database_telemetry.instrument(engine, pool="test", tables=[], provider=TracerProvider())
    yield engine
    await engine.dispose()


def figure(name: str, **labels: str) -> float:
    """Return one figure about the pool."""
    value = REGISTRY.get_sample_value(f"db_client_connection{name}", labels)
    assert value is not None
    return value


async def test_connections_are_used_or_idle(engine: AsyncEngine) -> None:
    """The pool is asked when the scraper comes, and has as many as it may."""
    await _connect(engine)
    at_rest = (
        figure("s", pool="test", state="used"),
        figure("s", pool="test", state="idle"),
        figure("_max", pool="test"),
    )
    async with engine.connect(), engine.connect():
        at_work = (
            figure("s", pool="test", state="used"),
            figure("s", pool="test", state="idle"),
            figure("_max", pool="test"),
        )

    assert at_rest == (0, 1, 2)
    assert at_work == (2, 0, 2)


async def test_who_waits_for_a_connection_is_seen_waiting(engine: AsyncEngine) -> None:
    """While the pool is exhausted, its queue is a figure; afterwards, the wait is one."""
    before = figure("_wait_time_seconds_count")

    async with asyncio.TaskGroup() as waiting, engine.connect(), engine.connect():
        for _ in range(3):
            waiting.create_task(_connect(engine))
        await eventually(lambda: figure("_pending_requests", pool="test") == 3)

    assert figure("_pending_requests", pool="test") == 0
    assert figure("_wait_time_seconds_count") == before + 5


async def test_a_wait_in_vain_is_counted(engine: AsyncEngine) -> None:
    """Whoever is turned away by an exhausted pool has waited, and waits no more."""
    before = figure("_timeouts_total"), figure("_wait_time_seconds_sum")

    async with engine.connect(), engine.connect():
        with pytest.raises(PoolTimeoutError):
            await _connect(engine)

    assert figure("_timeouts_total") == before[0] + 1
    assert figure("_wait_time_seconds_sum") >= before[1] + 0.2
    assert figure("_pending_requests", pool="test") == 0


async def test_a_new_pool_is_looked_at_too(engine: AsyncEngine) -> None:
    """`dispose` puts another pool in the old one's place: the figures are those of the new one."""
    await _connect(engine)
    await engine.dispose()
    assert (figure("s", pool="test", state="used"), figure("s", pool="test", state="idle")) == (0, 0)

    async with engine.connect():
        assert figure("s", pool="test", state="used") == 1


async def _connect(engine: AsyncEngine) -> None:
    async with engine.connect():
        pass
