"""A use case in two transactions that does nothing but what idempotency asks of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.responses import Response

from app.kit import context
from app.kit.clock import ManualClock
from app.kit.db import DatabaseSettings, transaction
from app.patterns.idempotency import IdempotencySettings
from app.patterns.idempotency.key import Key, key_of
from app.patterns.idempotency.once import KeyedOnce

SETTINGS = IdempotencySettings(keep_hours=24, in_flight_seconds=10)


def database(url: str) -> DatabaseSettings:
    """Return settings under which a statement that waits fails before anybody loses patience."""
    return DatabaseSettings.model_validate({"url": url, "statement_timeout_seconds": 2})


def key(text_: str = "k-1", *, tenant: str = "acme", body: bytes = b"{}") -> Key:
    """Return the key of a caller of `tenant`."""
    with context.bind(context.Context(tenant=tenant, actor="customer-7")):
        return key_of(text_, operation="POST /things", target=("/things", ""), body=body)


def once(clock: ManualClock, named: Key | None = None) -> KeyedOnce[str]:
    """Return one request's calls, whose answer is the result as text."""
    return KeyedOnce(named or key(), render=lambda result: Response(result, 201), settings=SETTINGS, clock=clock)


@asynccontextmanager
async def begun(engine: AsyncEngine, tenant: str = "acme") -> AsyncIterator[AsyncSession]:
    """Open a transaction of `tenant`, as a use case does."""
    with context.bind(context.Context(tenant=tenant)):
        async with transaction(engine) as session:
            yield session


async def begin(engine: AsyncEngine, request: KeyedOnce[str], resource: str = "thing-1") -> str | None:
    """Do the first transaction of a request of acme."""
    async with begun(engine) as session:
        return await request.begin(session, resource)


async def finish(engine: AsyncEngine, request: KeyedOnce[str], result: str = "made") -> None:
    """Do the last transaction of a request of acme."""
    async with begun(engine) as session:
        await request.finish(session, result)
