"""Customers of a lane: they come at their own pace, whether the service is fast or not (an open loop)."""

import asyncio
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

if TYPE_CHECKING:
    from dev.prove.lane import Lane

_ORDER = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 1250}]}
PER_SECOND = 2.0
_LIMITS = httpx.Limits(max_connections=200)


class Customers:
    """Each places an order and reads it, at the next instance if one does not answer, as a load balancer does."""

    def __init__(self, lane: "Lane", per_second: float) -> None:
        self._lane = lane
        self._per_second = per_second
        self._tasks: set[asyncio.Task[None]] = set()
        self.come = asyncio.Event()
        """Whether there are any at the moment."""
        self.come.set()

    async def run(self) -> None:
        """Come until cancelled."""
        token = await self._lane.token()
        headers = {"Authorization": f"Bearer {token}"}
        outside = self._lane.outside
        urls = [outside.url] if outside else [replica.url for replica in self._lane.deployments["http"]]
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(headers=headers, timeout=5, limits=_LIMITS) as client:
            due = loop.time()
            try:
                for number in count():
                    await self.come.wait()
                    due = max(due + 1 / self._per_second, loop.time() - 1)
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    turn = number % len(urls)
                    task = asyncio.create_task(self._shop(client, urls[turn:] + urls[:turn]))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _shop(self, client: httpx.AsyncClient, urls: list[str]) -> None:
        for url in urls:
            with suppress(httpx.TransportError):
                key = {"Idempotency-Key": str(uuid4())}
                placed = await client.post(f"{url}/v1/orders", json=_ORDER, headers=key)
                order = placed.json().get("id") if placed.is_success else None
                await client.get(f"{url}/v1/orders/{order or uuid4()}")
                return
