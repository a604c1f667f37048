"""Table locks, asked for so that nobody has to wait for long: given up quickly, and tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.kit.errors import Unavailable

_T = TypeVar("_T")
_GIVE_WAY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected
_log = structlog.get_logger(__name__)


class PartitionBusy(Unavailable):
    """A table did not let go of its locks in all the tries."""

    code = "partition_busy"


class PartitionSettings(BaseModel):
    """How far ahead partitions are made, and how patiently they are changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    months_ahead: int = Field(3, ge=1, le=120, description="Months after the current one that have their partition.")
    lock_timeout_seconds: float = Field(
        0.25, gt=0, description="Longest wait for a table lock; everybody else queues behind that wait."
    )
    attempts: int = Field(100, ge=1, description="Tries for a change whose table is busy.")


async def patiently(
    owner: AsyncEngine,
    settings: PartitionSettings,
    table: str,
    otherwise: str,
    change: Callable[[AsyncConnection], Awaitable[_T]],
) -> _T:
    """Do `change` in a transaction of its own, again and again until it gets its locks, and return what it returns.

    Raises:
        PartitionBusy: it never got them; `otherwise` is what did not happen.
    """
    for attempt in range(1, settings.attempts + 1):
        try:
            async with owner.begin() as connection:
                timeout = f"{int(settings.lock_timeout_seconds * 1000)}ms"
                await connection.execute(
                    text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": timeout}
                )
                return await change(connection)
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) not in _GIVE_WAY:
                raise
            _log.warning("partitions.table_busy", table=table, attempt=attempt, of=settings.attempts)
            await asyncio.sleep(random.uniform(0.5, 1.5) * settings.lock_timeout_seconds)  # noqa: S311 - jitter
    raise PartitionBusy(f"{table} is busy: {otherwise}")
