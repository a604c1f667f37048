"""When each table was last dealt with to the end. The process that does it ends itself, so a worker tells it."""

import asyncio
from collections.abc import Collection

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.clock import wait_or_stop

from .telemetry import LAST_SUCCESS

_PAUSE_SECONDS = 60.0
_COMPLETED = text("""
    INSERT INTO retention_run (table_name) VALUES (:table)
    ON CONFLICT (table_name) DO UPDATE SET completed_at = clock_timestamp()
""")
_LAST = text("SELECT table_name, extract(epoch FROM completed_at) FROM retention_run")
_log = structlog.get_logger(__name__)


async def completed(connection: AsyncConnection, table: str) -> None:
    """Note that nothing of a table is left that is due and may go."""
    await connection.execute(_COMPLETED, {"table": table})


class Watch:
    """The job that keeps the gauge up to date. Run one in each worker."""

    def __init__(self, engine: AsyncEngine, tables: Collection[str]) -> None:
        self._engine = engine
        self._tables = tables

    async def run(self, stop: asyncio.Event) -> None:
        """Look once a minute until `stop` is set; a broken database is waited for."""
        while not stop.is_set():
            try:
                await self.look()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("retention.unknown", error=type(exc).__name__)
            await wait_or_stop(stop, _PAUSE_SECONDS)

    async def look(self) -> None:
        """Set the gauge of each table that has a rule."""
        async with self._engine.connect() as connection:
            last = {table: float(at) for table, at in await connection.execute(_LAST)}
        for table in self._tables:
            LAST_SUCCESS.labels(table).set(last.get(table, 0.0))
