"""Tells whether months are made in time. It reads the catalogue only, so any login can."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import Clock, wait_or_stop

from . import telemetry
from .catalogue import partitions, tables
from .months import Month
from .patience import PartitionSettings

_PAUSE_SECONDS = 60.0
_FAR = 120
_log = structlog.get_logger(__name__)


class Watch:
    """The job that keeps the gauges up to date. Run one in each worker."""

    def __init__(self, engine: AsyncEngine, clock: Clock, settings: PartitionSettings) -> None:
        self._engine = engine
        self._clock = clock
        telemetry.MONTHS_WANTED.set(settings.months_ahead)

    async def run(self, stop: asyncio.Event) -> None:
        """Look once a minute until `stop` is set; a broken database is waited for."""
        while not stop.is_set():
            try:
                await self.look()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("partitions.unknown", error=type(exc).__name__)
            await wait_or_stop(stop, _PAUSE_SECONDS)

    async def look(self) -> None:
        """Count, for each table, the months after this one that have a partition, up to the first that has none."""
        months = Month.of(self._clock.now()).ahead(_FAR)
        async with self._engine.connect() as connection:
            for table in await tables(connection):
                there = {partition.name for partition in await partitions(connection, table.name)}
                missing = (n for n, month in enumerate(months) if month.partition_of(table.name) not in there)
                telemetry.MONTHS_AHEAD.labels(table.name).set(next(missing, _FAR + 1) - 1)
                telemetry.DEFAULT_ROWS.labels(table.name).set(table.default_rows)
