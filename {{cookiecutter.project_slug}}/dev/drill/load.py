"""The customers: orders over HTTP at a steady pace, and a memory of what the service has promised each of them."""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from dev.drill.plan import Plan
from dev.payment_simulator import REFUSED_ENDING

_SLOWER = 4.0
_AT_ONCE = 16  # requests in flight
_CANCELLED_SHARE = 0.2
_REFUSED_SHARE = 0.04
_PATIENCE_SECONDS = 40.0  # how long a customer insists on an answer, or on cancelling
_RETRY_SECONDS = 0.25
NO_ANSWER = "no answer"


@dataclass(slots=True)
class Promise:
    """What a customer knows of one request. Without an answer it promises nothing: the database says what became of it.

    A customer without an answer asks again, which may become a second order: each order is judged by its own request.
    """

    sku: str
    """Names the request: no two requests hold the same article."""
    answer: str = NO_ANSWER
    cancel_asked: bool = False
    cancel_confirmed: bool = False


class Customers:
    """Places the orders of a plan, and cancels a fifth of those that were accepted."""

    def __init__(self, plan: Plan, *, url: str, token: str) -> None:
        self._plan = plan
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=httpx.Timeout(15)
        )
        self.asked = 0
        """Customers that have come so far."""
        self.gave_up = 0
        """Customers that never got an answer."""
        self.promises: list[Promise] = []
        self.answers: Counter[str] = Counter()
        """Answers to `place` and `cancel`, such as `place 201`."""
        self.slow = False
        """Set while the faults are behind their plan: workers that start slowly must not run out of orders."""
        self.finished = False

    async def run(self) -> None:
        """Return when every customer has an answer or has given up."""
        dice = random.Random(self._plan.seed)  # noqa: S311 - repeatable on purpose
        in_flight = asyncio.Semaphore(_AT_ONCE)
        async with self._client, asyncio.TaskGroup() as tasks:
            for number in range(self._plan.orders):
                await asyncio.sleep((_SLOWER if self.slow else 1.0) / self._plan.per_second)
                refused = dice.random() < _REFUSED_SHARE
                price = 1_000 + REFUSED_ENDING if refused else dice.randrange(100, 10_000, 100)
                await in_flight.acquire()
                cancels = dice.random() < _CANCELLED_SHARE and not refused
                shopping = self._shop(number, price=price, cancels=cancels)
                self.asked += 1
                tasks.create_task(shopping).add_done_callback(lambda _task: in_flight.release())
        self.finished = True

    async def _shop(self, number: int, *, price: int, cancels: bool) -> None:
        promise, order = await self._place(number, price)
        if cancels and promise.answer in ("201", "202"):
            promise.cancel_asked = True
            promise.cancel_confirmed = await self._cancel(order["id"])

    async def _place(self, number: int, price: int) -> tuple[Promise, dict[str, Any]]:
        """Ask until there is an answer."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for attempt in itertools.count(1):
            promise = Promise(f"drill-{number}-{attempt}")
            self.promises.append(promise)
            item = {"sku": promise.sku, "quantity": 1, "unit_price_minor": price}
            promise.answer, order = await self._post("place", "/v1/orders", {"currency": "EUR", "items": [item]})
            if promise.answer not in (NO_ANSWER, "503"):
                break
            if time.monotonic() > deadline:
                self.gave_up += 1
                break
            await asyncio.sleep(_RETRY_SECONDS)
        return promise, order

    async def _cancel(self, order_id: str) -> bool:
        """Ask until the answer is yes: cancelling twice is harmless, and a pending order cannot be cancelled yet."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer, _ = await self._post("cancel", f"/v1/orders/{order_id}/cancel", None)
            if answer == str(HTTPStatus.OK):
                return True
            await asyncio.sleep(_RETRY_SECONDS)
        return False

    async def _post(self, what: str, path: str, body: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        try:
            response = await self._client.post(path, json=body)
        except httpx.TransportError:
            self.answers[f"{what} {NO_ANSWER}"] += 1
            return NO_ANSWER, {}
        self.answers[f"{what} {response.status_code}"] += 1
        return str(response.status_code), response.json()
