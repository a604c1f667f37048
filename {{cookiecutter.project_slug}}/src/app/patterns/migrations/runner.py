"""Runs migrations, up and down: one runner at a time, with short locks, and again when a table was busy."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.errors import Unavailable

from .schema import BASE, SchemaVersion, revisions, schema_version, version_on
from .settings import MigrationSettings

ADVISORY_LOCK = 0x6D69_6772  # "migr": any constant, the same in every release
_GIVE_WAY = {"55P03": "lock_not_available", "40P01": "deadlock_detected"}
_ASK_AGAIN_SECONDS = 0.2
_log = structlog.get_logger(__name__)


class WrongTarget(Exception):
    """There is no such revision, or it does not lie in that direction."""


class RunnerBusy(Unavailable):
    """Another runner has not finished in time."""

    code = "migration_runner_busy"


async def upgrade(engine: AsyncEngine, settings: MigrationSettings, target: str | None = None) -> SchemaVersion:
    """Bring the schema to `target`, or to the newest revision, and return where it stood before.

    `engine` needs a statement timeout as long as the settings say: the default one is for requests.

    Raises:
        WrongTarget: the code has no such revision.
        RunnerBusy: another runner is at work, and goes on.
        DBAPIError: a migration failed, or did not get its locks in `attempts` tries. Those before it are kept.
    """
    known = revisions(settings)
    target = target or known[0]
    if target not in known:
        raise WrongTarget(f"there is no revision {target}; the newest is {known[0]}")
    before = await schema_version(engine, known)
    if before.has_reached(target):
        return before
    async with _only_runner(engine, settings) as connection:
        if not (await version_on(connection, known)).has_reached(target):
            await _with_retries(connection, settings, target, up=True)
    return before


async def downgrade(engine: AsyncEngine, settings: MigrationSettings, target: str) -> SchemaVersion:
    """Take migrations back, the newest first, until `target` is the newest; return where the schema stood before.

    Raises:
        WrongTarget: the database does not stand above it, or stands where only a later release knows the way.
        RunnerBusy, DBAPIError: as `upgrade`.
    """
    known = revisions(settings)
    async with _only_runner(engine, settings) as connection:
        before = await version_on(connection, known)
        require_below(before, target)
        await _with_retries(connection, settings, target, up=False)
    return before


def require_below(version: SchemaVersion, target: str) -> None:
    """Return if there is a way down to `target`.

    Raises:
        WrongTarget: there is none.
    """
    if version.current is not None and version.current not in version.known:
        raise WrongTarget(f"the schema is at {version.current}: only the release that has it knows the way down")
    if target not in (*version.known, BASE):
        raise WrongTarget(f"there is no revision {target}")
    if not version.applied_after(target):
        raise WrongTarget(f"the schema is at {version.current or BASE}, which is not above {target}")


def alembic_run(connection: Connection, settings: MigrationSettings, name: str, *arguments: str) -> None:
    """Run a command of Alembic on a connection, without a word on standard output."""
    from alembic import command  # noqa: PLC0415 - see `revisions`
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(settings.folder))
    config.attributes["connection"] = connection
    getattr(command, name)(config, *arguments)


@asynccontextmanager
async def _only_runner(engine: AsyncEngine, settings: MigrationSettings) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        try:
            await _take_turn(connection, settings)
            for name, value in settings.timeouts.items():
                await connection.execute(
                    text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value}
                )
            await connection.commit()
            yield connection
        finally:
            await connection.invalidate()  # the lock and the timeouts end with the connection


async def _take_turn(connection: AsyncConnection, settings: MigrationSettings) -> None:
    """Return when no other runner is left.

    The lock is the session's, not a transaction's: it spans all migrations, and a crash releases it. It is asked for
    again and again, not waited for: CREATE INDEX CONCURRENTLY waits for every statement that began before it, so a
    runner that waits inside a statement and the runner that builds the index would wait for each other.
    """
    try:
        async with asyncio.timeout(settings.statement_timeout_seconds):
            told = False
            while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
                await connection.commit()
                if not told:
                    _log.info("migrations.runner_awaited")
                    told = True
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
    except TimeoutError as exc:
        raise RunnerBusy("Another runner is at work, and has not finished in time.") from exc


async def _with_retries(connection: AsyncConnection, settings: MigrationSettings, target: str, *, up: bool) -> None:
    name = "upgrade" if up else "downgrade"
    await connection.commit()  # Alembic would leave a transaction open that it finds open
    for attempt in range(1, settings.attempts + 1):
        try:
            await connection.run_sync(alembic_run, settings, name, target)
        except DBAPIError as exc:
            await connection.rollback()
            reason = _GIVE_WAY.get(getattr(exc.orig, "sqlstate", ""))
            if reason is None or attempt == settings.attempts:
                raise
            _log.warning("migrations.table_busy", reason=reason, attempt=attempt, of=settings.attempts)
            await asyncio.sleep(random.uniform(0.5, 1.5) * settings.lock_timeout_seconds)  # noqa: S311 - jitter
        else:
            return
