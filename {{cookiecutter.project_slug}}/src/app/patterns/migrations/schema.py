"""Where the database stands, and where the code wants it."""

import re
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.errors import Unavailable

from .settings import MigrationSettings

BASE = "base"
"""Before the first migration; Alembic's word."""
_REVISION = re.compile(r"""^(revision|down_revision)(?::[^=]+)? = (?:["'](.+)["']|None)$""", re.MULTILINE)


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
        """Tell whether nothing is left to do."""
        return self.has_reached(self.head)

    def has_reached(self, revision: str) -> bool:
        """Tell whether the database is at `revision`, or beyond.

        A revision that the code does not know is a later one: a newer release has migrated already, and the processes
        of this one must go on working until they are replaced. Migrations that only expand make that safe.
        """
        if self.current not in self.known:
            return self.current is not None
        return self.known.index(self.current) <= self.known.index(revision)

    def pending(self, revision: str) -> tuple[str, ...]:
        """Return what leads from here up to `revision`, the oldest first."""
        if self.has_reached(revision):
            return ()
        line = self.known[self.known.index(revision) :]
        return tuple(reversed(line if self.current is None else line[: line.index(self.current)]))

    def applied_after(self, revision: str) -> tuple[str, ...]:
        """Return what has to be taken back to stand at `revision`, the newest first."""
        if self.current not in self.known:
            return ()
        line = self.known[self.known.index(self.current) :]
        return line if revision == BASE else line[: line.index(revision)] if revision in line else ()


async def schema_version(engine: AsyncEngine, known: tuple[str, ...]) -> SchemaVersion:
    """Compare the database with the `revisions` of the code, without any lock."""
    async with engine.connect() as connection:
        return await version_on(connection, known)


async def version_on(connection: AsyncConnection, known: tuple[str, ...]) -> SchemaVersion:
    """Do what `schema_version` does, on a connection."""
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
