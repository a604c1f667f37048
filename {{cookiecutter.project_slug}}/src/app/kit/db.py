"""PostgreSQL through SQLAlchemy 2: the engine, and the one way to open a transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import MetaData, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.kit import context
from app.kit.errors import Unavailable

_READ_ONLY = "25006"
# For this transaction alone, so that a connection that goes back to the pool belongs to nobody.
_SET_TENANT = text("SELECT set_config('app.tenant', :tenant, true)")


class DatabaseSettings(BaseModel):
    """How to reach PostgreSQL, and how long to wait for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(
        description="postgresql+asyncpg://user:password@host:port/name; a member of `app_user`. "
        "A server and its replicas as ?host=a:5432&host=b:5432: whichever is the primary is used."
    )
    jobs_url: SecretStr | None = Field(
        None, description="The same for work across tenants, a member of `app_jobs`; by default the login of `url`."
    )
    pool_size: int = Field(10, ge=1, le=200, description="Connections per process.")
    pool_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for a free connection before 503.")
    connect_timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for a new connection.")
    statement_timeout_seconds: float = Field(5.0, gt=0, description="PostgreSQL ends statements that take longer.")


class Base(DeclarativeBase):
    """Parent of every table. Fixed constraint names, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, refused the connection, or the pool is exhausted."""

    code = "database_unavailable"


def create_engine(
    settings: DatabaseSettings,
    *,
    application_name: str,
    role: str | None = None,
    replica: bool = False,
    poolclass: type[AsyncAdaptedQueuePool] = AsyncAdaptedQueuePool,
) -> AsyncEngine:
    """Return an engine whose sessions act as `role`; nothing connects before the first use.

    Of several hosts it uses the primary, and finds the next one after a failover; a `replica` is used as it is.
    """
    server_settings = {
        "application_name": application_name,
        "statement_timeout": str(int(settings.statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": "15000",
    }
    if role is not None:
        server_settings["role"] = role  # not only the login's: one that could do more, here cannot
    engine = create_async_engine(
        settings.url.get_secret_value(),
        poolclass=poolclass,
        pool_size=settings.pool_size,
        max_overflow=0,  # a fixed bound: what does not fit waits here, not in PostgreSQL
        pool_timeout=settings.pool_timeout_seconds,
        pool_recycle=1800,
        hide_parameters=True,  # exceptions and the engine's log show the statement, never what was bound to it
        connect_args={
            "target_session_attrs": "any" if replica else "primary",
            "timeout": settings.connect_timeout_seconds,
            "command_timeout": settings.statement_timeout_seconds + 1,  # the server's own limit comes first
            "server_settings": server_settings,
        },
    )
    event.listen(engine.sync_engine, "handle_error", _leave_a_former_primary)
    return engine


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open a session and a transaction: commits at the end of the block, rolls back on any exception.

    The rows of a tenant are there only for the tenant of the work in hand. Stands in the use case and nowhere below it;
    no network call belongs inside.

    Raises:
        DatabaseUnavailable: PostgreSQL is down or overloaded; nothing was committed, unless the connection broke during
            COMMIT itself, which no client can tell.
    """
    with_translation = AsyncSession(engine, expire_on_commit=False)
    try:
        async with with_translation as session, session.begin():
            if tenant := context.current().tenant:
                await session.execute(_SET_TENANT, {"tenant": tenant})
            yield session
    except PoolTimeoutError as exc:
        raise DatabaseUnavailable("All database connections are in use.", retry_after_seconds=1) from exc
    except (DBAPIError, OSError, asyncpg.InternalClientError) as exc:
        if is_unavailable(exc):
            raise DatabaseUnavailable("The database cannot be reached.", retry_after_seconds=1) from exc
        raise


def _leave_a_former_primary(failure: ExceptionContext) -> None:
    """Give up the connections to a server that has become read-only: the next ones look for the primary."""
    if getattr(failure.original_exception, "sqlstate", None) == _READ_ONLY:
        failure.is_disconnect = True


async def ping(engine: AsyncEngine) -> None:
    """Return when the database answers, within the pool's and the caller's patience; for readiness.

    Raises:
        SQLAlchemyError, OSError: it does not.
    """
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def is_unavailable(exc: BaseException) -> bool:
    """Tell a lost or refused connection from a mistake in the statement."""
    # Refused, reset, timed out, no such socket; or none of the hosts is a primary.
    if isinstance(exc, OSError | asyncpg.TargetServerAttributeNotMatched):
        return True
    if not isinstance(exc, DBAPIError):
        return False
    sqlstate = getattr(exc.orig, "sqlstate", None) or ""
    # 08 connection exception, 57P shutdown and crash recovery, 57014 ended by statement_timeout, mostly while it waited
    # for a lock, 53 out of resources, 25P03 idle in transaction too long
    return exc.connection_invalidated or sqlstate.startswith(("08", "57P", "57014", "53", "25P03"))
