"""patterns/outbox/wakeup.py: the listener survives what happens to its connection."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from app.patterns.outbox import listen
from tests.support.eventually import eventually

_END_OTHERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'listening'
""")


async def test_the_listener_outlives_a_restart_that_left_only_dead_connections_in_the_pool(
    engine: AsyncEngine, database_url: str
) -> None:
    """After its connection was ended, a pool full of dead ones does not silence it: it listens again."""
    woken = asyncio.Event()
    settings = DatabaseSettings.model_validate({"url": database_url, "pool_size": 3})
    listening = create_engine(settings, application_name="listening")
    async with listening.connect(), listening.connect():
        pass  # two idle connections in the pool
    async with listen(listening, woken.set):
        await asyncio.wait_for(woken.wait(), 5)
        woken.clear()

        async with engine.connect() as connection:
            await connection.execute(_END_OTHERS)
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
        async with engine.begin() as connection:
            await connection.execute(text("NOTIFY outbox"))

        await eventually(woken.is_set)
    await listening.dispose()
