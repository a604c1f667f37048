"""The operator's commands that have commands of their own, such as `app outbox list`; `cli.py` puts them together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import create_engine, is_unavailable
from app.settings import Settings


class CommandFailed(Exception):
    """The command cannot do its work; the message is for the operator."""


@asynccontextmanager
async def owner_engine(
    settings: Settings, name: str, *, failed: str = "PostgreSQL refuses", connections: int = 1
) -> AsyncIterator[AsyncEngine]:
    """Yield an engine of the tables' owner, with the patience of migrations.

    Raises:
        CommandFailed: the database is not there, or `failed` for a reason that it says.
    """
    patient = {"statement_timeout_seconds": settings.migrations.statement_timeout_seconds, "pool_size": connections}
    owner = settings.migrations.database_url or settings.database.url
    variable = "APP_MIGRATIONS__DATABASE_URL" if settings.migrations.database_url else "APP_DATABASE__URL"
    engine = create_engine(settings.database.model_copy(update={"url": owner, **patient}), application_name=name)
    try:
        yield engine
    except (DBAPIError, OSError) as exc:
        if is_unavailable(exc):
            raise CommandFailed(f"PostgreSQL cannot be reached at {variable}; is it running?") from exc
        reason = exc.orig if isinstance(exc, DBAPIError) else exc
        raise CommandFailed(f"{failed}: {str(reason).partition(chr(10))[0]}") from exc
    finally:
        await engine.dispose()
