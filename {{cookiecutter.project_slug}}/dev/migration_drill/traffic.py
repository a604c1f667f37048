"""Readers, writers and long reports on tables, for as long as a block runs, and what they notice."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from dev.migration_drill.rows import insert_into

APPLICATION = "traffic"
_PAUSE_SECONDS = 0.002
_REPORT_SECONDS = 0.3  # how long a report keeps its table
_BETWEEN_REPORTS_SECONDS = 0.5
_LOOK_SECONDS = 0.005
_FIRST = 1_000_000  # above what was seeded
# Dropped before the statement was read, or between reading and opening.
_ABSENT = ("42P01", "XX000")
# How long the statement that has waited longest for a lock by now has waited.
_WAIT = text(f"""
    SELECT extract(epoch FROM max(clock_timestamp() - waitstart))::float8
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND application_name = '{APPLICATION}'
""")  # noqa: S608 - ours


@dataclass(slots=True)
class Noticed:
    """What the users of the tables have noticed."""

    statements: int = 0
    longest_seconds: float = 0.0
    """The longest statement, with everything that it waited for."""
    longest_wait_seconds: float = 0.0
    """The longest wait for a lock, as PostgreSQL tells it."""
    absent: int = 0
    """Statements that did not find a table which was expected to be gone."""
    errors: list[str] = field(default_factory=list)


class Traffic:
    """Loops on tables, all of which go on until the traffic ends."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = itertools.count(_FIRST)
        self.noticed = Noticed()
        self.may_be_absent: frozenset[str] = frozenset()

    async def begin(self, table: str) -> None:
        """Use a table from now on."""
        async with self._engine.connect() as connection:
            insert = await insert_into(connection, table)
        read = f"SELECT count(*) FROM (SELECT FROM {table} LIMIT 100) AS few"  # noqa: S608 - ours
        for loop in (self._use(table, read, 0), self._use(table, insert, 0), self._use(table, read, _REPORT_SECONDS)):
            self._tasks.append(asyncio.create_task(loop))

    async def end(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def watch(self) -> None:
        """Look at the locks, until cancelled."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            while True:
                waited = await connection.scalar(_WAIT) or 0.0
                self.noticed.longest_wait_seconds = max(self.noticed.longest_wait_seconds, waited)
                await asyncio.sleep(_LOOK_SECONDS)

    def start_watching(self) -> None:
        """Watch beside the traffic."""
        self._tasks.append(asyncio.create_task(self.watch()))

    async def _use(self, table: str, statement: str, keep_seconds: float) -> None:
        while True:
            expected = table in self.may_be_absent
            try:
                await self._once(statement, keep_seconds)
            except DBAPIError as exc:
                expected = expected or table in self.may_be_absent
                if expected and getattr(exc.orig, "sqlstate", None) in _ABSENT:
                    self.noticed.absent += 1
                else:
                    self.noticed.errors.append(f"{table}: {str(exc.orig).partition(chr(10))[0]}")
            await asyncio.sleep(_BETWEEN_REPORTS_SECONDS if keep_seconds else _PAUSE_SECONDS)

    async def _once(self, statement: str, keep_seconds: float) -> None:
        number = next(self._numbers)
        bound = {"first": number, "last": number} if ":first" in statement else {}
        async with self._engine.begin() as connection:
            began = time.monotonic()
            await connection.execute(text(statement), bound)
            self.noticed.longest_seconds = max(self.noticed.longest_seconds, time.monotonic() - began)
            self.noticed.statements += 1
            await asyncio.sleep(keep_seconds)


@asynccontextmanager
async def traffic(engine: AsyncEngine) -> AsyncIterator[Traffic]:
    """Yield traffic, which ends with the block."""
    running = Traffic(engine)
    running.start_watching()
    try:
        yield running
    finally:
        with suppress(asyncio.CancelledError):
            await running.end()
