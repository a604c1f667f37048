"""The worker's part: keys past their time are deleted."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.clock import Clock, wait_or_stop
from app.kit.errors import Unavailable

from .store import delete_expired

_BATCH = 1_000  # few enough that a batch holds its locks for milliseconds
_IDLE_SECONDS = 60.0
_log = structlog.get_logger(__name__)


class Crossing(Protocol):
    """A transaction that sees the keys of all tenants."""

    session: AsyncSession
    rows: int
    """How many were taken; for the log of whoever opened it."""


async def sweep(
    crossing: Callable[[], AbstractAsyncContextManager[Crossing]], clock: Clock, stop: asyncio.Event
) -> None:
    """Delete expired keys, batch after batch, until `stop` is set; a broken database is waited for."""
    while not stop.is_set():
        deleted = 0
        try:
            async with crossing() as opened:
                opened.rows = deleted = await delete_expired(opened.session, now=clock.now(), limit=_BATCH)
        except Unavailable as exc:
            _log.warning("idempotency.sweep_failed", reason=exc.code)
        if deleted < _BATCH:
            await wait_or_stop(stop, _IDLE_SECONDS)
