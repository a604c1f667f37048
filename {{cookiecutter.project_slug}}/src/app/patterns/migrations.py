"""Migrations: one runner at a time, short locks, and nothing at all to do when the schema is up to date.

Use when: several processes of a release may start at the same moment.
Not when: a single process owns the database.
Costs:    one advisory lock; a migration that cannot get its locks is tried again.
Fails:    another runner at work -> waits, then finds nothing left to do; a table is busy -> gives up the lock quickly,
          so that nobody queues behind it, and tries again; wrong migration -> its transaction rolls back, exit 1.
Copy:     this file, kit/context.py, kit/db.py, kit/errors.py, `migrations/env.py`, `alembic.ini`.
Origin:   the rules of `strong_migrations`; Refactoring Databases, Ambler and Sadalage (2006), for expand and contract.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.errors import Unavailable

ADVISORY_LOCK = 0x6D69_6772  # "migr": any constant, the same in every release
_LOCK_NOT_AVAILABLE = "55P03"
_REVISION = re.compile(r"""^(revision|down_revision)(?::[^=]+)? = (?:["'](.+)["']|None)$""", re.MULTILINE)
_log = structlog.get_logger(__name__)


class MigrationSettings(BaseModel):
    """How patiently migrations run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr | None = Field(
        None, description="Login of the tables' owner; by default the service's own, which should own nothing."
    )
    folder: Path = Field(Path("migrations"), description="Where the migrations are.")
    lock_timeout_seconds: float = Field(
        1.0, gt=0, description="Longest wait for a table lock; everybody else queues behind that wait."
    )
    statement_timeout_seconds: float = Field(
        600.0, gt=0, description="Longest single statement, and longest wait for another runner to finish."
    )
    attempts: int = Field(20, ge=1, description="Tries for a migration that does not get its locks.")


class SchemaOutOfDate(Unavailable):
    """The database does not have the schema that this code was written for."""

    code = "schema_out_of_date"


class BrokenLine(Exception):
    """Two migrations follow the same one, or one follows none."""


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Where the database stands, and which revisions the code knows, the newest first."""

    current: str | None
    known: tuple[str, ...]

    @property
    def head(self) -> str:
        """Return where the code wants the database."""
        return self.known[0]

    @property
    def up_to_date(self) -> bool:
        """Tell whether nothing is left to do.

        A revision that the code does not know is a later one: a newer release has migrated already, and the processes
        of this one must go on working until they are replaced. Migrations that only expand make that safe.
        """
        return self.current is not None and (self.current == self.head or self.current not in self.known)


async def schema_version(engine: AsyncEngine, known: tuple[str, ...]) -> SchemaVersion:
    """Compare the database with the `revisions` of the code, without any lock."""
    async with engine.connect() as connection:
        exists = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        current = await connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
    return SchemaVersion(current, known)


def revisions(settings: MigrationSettings) -> tuple[str, ...]:
    """Return the revisions in the folder, the newest first.

    Read without Alembic: every process asks for them when it starts, and only a migration needs its 11 MB.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
        BrokenLine: they do not follow one another.
    """
    files = sorted(settings.folder.glob("versions/*.py"))
    if not files or not (settings.folder / "env.py").is_file():
        raise FileNotFoundError(f"no migrations in {settings.folder.absolute()}")
    named = [dict(_REVISION.findall(path.read_text(encoding="utf-8"))) for path in files]
    following = {names.get("down_revision"): names.get("revision", "") for names in named}
    known: list[str] = []
    while (newest := following.get(known[-1] if known else "")) is not None and newest not in known:
        known.append(newest)
    if len(known) != len(files):
        raise BrokenLine(f"the migrations in {settings.folder.absolute()} do not follow one another: {following}")
    return tuple(reversed(known))


async def require_up_to_date(engine: AsyncEngine, known: tuple[str, ...]) -> None:
    """Return if the database is at the newest of the `revisions`, or beyond; for readiness.

    Raises:
        SchemaOutOfDate: it is not.
    """
    version = await schema_version(engine, known)
    if not version.up_to_date:
        stands = version.current or "empty"
        raise SchemaOutOfDate(f"The schema is at {stands}, the code needs {version.head}: run `app migrate`.")


async def upgrade(engine: AsyncEngine, settings: MigrationSettings) -> SchemaVersion:
    """Bring the schema to the newest revision and return where it stood before.

    `engine` needs a statement timeout as long as the settings say: the default one is for requests.

    Raises:
        DBAPIError: a migration failed, or did not get its locks in `attempts` tries. Those before it are kept.
    """
    before = await schema_version(engine, revisions(settings))
    if before.up_to_date:
        return before
    async with engine.connect() as connection:
        # Held by the session, not by a transaction: it spans all migrations, and a crash releases it.
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        await connection.execute(
            text("SELECT set_config('lock_timeout', :value, false)"),
            {"value": f"{int(settings.lock_timeout_seconds * 1000)}ms"},
        )
        await connection.commit()
        try:
            await _upgrade_with_retries(connection, settings)
        finally:
            await connection.invalidate()  # the lock and its timeout end with the connection
    return before


async def _upgrade_with_retries(connection: AsyncConnection, settings: MigrationSettings) -> None:
    for attempt in range(1, settings.attempts + 1):
        try:
            await connection.run_sync(_upgrade_to_head, settings)
        except DBAPIError as exc:
            await connection.rollback()
            if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or attempt == settings.attempts:
                raise
            _log.warning("migrations.table_busy", attempt=attempt, of=settings.attempts)
            await asyncio.sleep(random.uniform(0.5, 1.5) * settings.lock_timeout_seconds)  # noqa: S311 - jitter
        else:
            return


def _upgrade_to_head(connection: Connection, settings: MigrationSettings) -> None:
    from alembic import command  # noqa: PLC0415 - see `revisions`
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(settings.folder))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
