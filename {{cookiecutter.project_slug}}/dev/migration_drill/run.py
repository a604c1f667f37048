"""Every migration up, down and up again, on rows, while the tables are in use."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import migrations
from app.patterns.migrations import BASE, MigrationSettings
from dev.migration_drill.rows import seed, tables
from dev.migration_drill.traffic import APPLICATION, Noticed, Traffic, traffic

_WARM_SECONDS = 0.2  # for the traffic to be under way
_CONNECTIONS = 120  # three loops per table
_Way = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Leg:
    """One migration in one direction."""

    revision: str
    way: str
    seconds: float
    tries: int
    noticed: Noticed
    lost: tuple[str, ...]
    """Tables in use that have fewer rows than before, without being the migration's own."""

    @property
    def passed(self) -> bool:
        """Whether nobody noticed more than a wait."""
        return not (self.noticed.errors or self.lost)


async def drill(url: str, settings: MigrationSettings, *, rows: int) -> list[Leg]:
    """Migrate the empty database at `url` as far as the folder goes.

    What exists before a migration is used without a pause and without an error. Its own tables are used, too, as soon
    as they are there; they may be missing only between the way down and the end of the second way up.

    Raises:
        CannotFill: a table wants values that nobody has told.
    """
    migrating = create_engine(DatabaseSettings.model_validate({"url": url}), application_name="migrate")
    patient = {"url": url, "pool_size": _CONNECTIONS}
    using = create_engine(DatabaseSettings.model_validate(patient), application_name=APPLICATION)
    try:
        async with traffic(using) as running:
            return await _Drill(migrating, settings, running, rows).run()
    finally:
        await using.dispose()
        await migrating.dispose()


class _Drill:
    def __init__(self, engine: AsyncEngine, settings: MigrationSettings, running: Traffic, rows: int) -> None:
        self._engine, self._settings, self._traffic, self._rows = engine, settings, running, rows
        self._legs: list[Leg] = []

    async def run(self) -> list[Leg]:
        below = BASE
        for revision in reversed(migrations.revisions(self._settings)):
            older = await self._tables()
            await self._leg(revision, "up", older, lambda: migrations.upgrade(self._engine, self._settings, revision))  # noqa: B023 - awaited here
            own = await self._tables() - older
            await self._fill(own)
            for table in sorted(own):
                await self._traffic.begin(table)
            self._traffic.may_be_absent = frozenset(own)
            await self._leg(revision, "down", older, lambda: migrations.downgrade(self._engine, self._settings, below))  # noqa: B023
            await self._leg(
                revision,
                "up again",
                older,
                lambda: migrations.upgrade(self._engine, self._settings, revision),  # noqa: B023
            )
            self._traffic.may_be_absent = frozenset()
            await self._fill(own)
            below = revision
        return self._legs

    async def _leg(self, revision: str, way: str, in_use: set[str], go: _Way) -> None:
        await asyncio.sleep(_WARM_SECONDS)
        self._traffic.noticed = Noticed()
        before = await self._count(in_use)
        began = time.monotonic()
        with capture_logs() as logs:
            await go()
        seconds = time.monotonic() - began
        after = await self._count(in_use)
        tries = 1 + sum(line["event"] == "migrations.table_busy" for line in logs)
        lost = tuple(table for table in sorted(in_use) if after[table] < before[table])
        self._legs.append(Leg(revision, way, seconds, tries, self._traffic.noticed, lost))

    async def _tables(self) -> set[str]:
        async with self._engine.connect() as connection:
            return await tables(connection)

    async def _fill(self, own: set[str]) -> None:
        async with self._engine.begin() as connection:
            for table in own:
                await seed(connection, table, self._rows)

    async def _count(self, names: set[str]) -> dict[str, int]:
        async with self._engine.connect() as connection:
            return {
                name: await connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0  # noqa: S608 - ours
                for name in names
            }
