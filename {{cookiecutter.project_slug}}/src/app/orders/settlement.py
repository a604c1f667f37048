"""The worker's part: orders whose payment the provider left open, and payments of cancelled orders to release."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import wait_or_stop
from app.kit.errors import Unavailable
from app.orders.service import Orders

_ORDERS_PER_PASS = 10
_IDLE_SECONDS = 1.0
_log = structlog.get_logger(__name__)


async def run(orders: Orders, jobs_engine: AsyncEngine, stop: asyncio.Event) -> None:
    """Settle open orders of all tenants until `stop` is set; a broken database is waited for."""
    while not stop.is_set():
        try:
            tried = await orders.settle_open(jobs_engine, limit=_ORDERS_PER_PASS)
        except Unavailable as exc:
            _log.warning("orders.settlement_failed", reason=exc.code)
            tried = 0
        if tried < _ORDERS_PER_PASS:
            await wait_or_stop(stop, _IDLE_SECONDS)
