"""A release with a mistake: `bad_release MISTAKE serve|worker`. Nothing in the service knows of it."""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import structlog
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send

from app import cli, worker
from app.orders.models import Order
from app.orders.service import Orders
from app.patterns.health import Health
from app.patterns.metrics import RedMetrics
from app.patterns.outbox import Relay

_calls = count(1)
_log = structlog.get_logger(__name__)
_MOST_LEAKED_BYTES = 400_000_000
_leaked: list[bytearray] = []


def main() -> None:
    """Make the mistake, then run the service as always."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mistake", choices=MISTAKES)
    parser.add_argument("command")
    arguments = parser.parse_args()
    MISTAKES[arguments.mistake]()
    sys.argv = ["app", arguments.command]
    cli.main()


def _before(use_case: str, act: Callable[[], Awaitable[None]]) -> None:
    """Do something before each call of a use case of orders."""
    original: Any = getattr(Orders, use_case)

    async def changed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        await act()
        return await original(*arguments, **named)

    setattr(Orders, use_case, changed)


async def _fail_every_second_time() -> None:
    if next(_calls) % 2 == 0:
        raise RuntimeError("A mistake of this release.")


async def _fail() -> None:
    raise RuntimeError("A mistake of this release.")


async def _take_long() -> None:
    await asyncio.sleep(0.7)


async def _say_much() -> None:
    for number in range(10):
        _log.info("orders.looked_up", step=number, found="x" * 400)


def _block() -> None:
    """Block the worker's event loop for most of the time."""

    async def observe(relay: Relay, stop: asyncio.Event) -> None:  # noqa: ARG001 - as the original
        while not stop.is_set():
            time.sleep(0.6)  # noqa: ASYNC251 - the mistake
            await asyncio.sleep(0.3)

    worker._observe = observe


def _leak() -> None:
    """Take memory without end, which here has one."""

    def leak() -> None:
        while sum(map(len, _leaked)) < _MOST_LEAKED_BYTES:
            _leaked.append(bytearray(os.urandom(1_000)) * 2_000)
            time.sleep(0.1)

    threading.Thread(target=leak, daemon=True).start()


def _die_soon() -> None:
    """End without a word, soon after each start."""
    started = Health.mark_started

    def mark_started(health: Health) -> None:
        started(health)
        threading.Timer(1.5, os._exit, (1,)).start()

    Health.mark_started = mark_started  # type: ignore[method-assign,assignment]  # the mistake


def _crash_a_job() -> None:
    async def observe(_relay: Relay) -> None:
        await asyncio.sleep(0)
        raise KeyError("A mistake of this release.")

    Relay.observe = observe  # type: ignore[method-assign,assignment]  # the mistake


def _count_nothing() -> None:
    """Lose the layer that counts requests."""

    def passed(layer: RedMetrics, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return layer._app(scope, receive, send)

    RedMetrics.__call__ = passed  # type: ignore[method-assign,assignment]  # the mistake


def _label_by_user() -> None:
    seen = Gauge("user_last_seen_timestamp_seconds", "When a user was last seen.", ["user_id"])
    for number in range(900):
        seen.labels(str(number)).set_to_current_time()


def _write_for_another_tenant() -> None:
    original: Any = Order.receive

    def changed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        return original(*arguments, **{**named, "tenant_id": "somebody-else"})

    Order.receive = changed  # type: ignore[method-assign]  # the mistake


MISTAKES: dict[str, Callable[[], object]] = {
    "fails-to-buy": lambda: _before("place", _fail_every_second_time),
    "slow-to-buy": lambda: _before("place", _take_long),
    "fails-to-read": lambda: _before("get", _fail_every_second_time),
    "slow-to-read": lambda: _before("get", _take_long),
    "fails-to-cancel": lambda: _before("cancel", _fail),
    "fails-to-cancel-sometimes": lambda: _before("cancel", _fail_every_second_time),
    "writes-for-another-tenant": _write_for_another_tenant,
    "chatty": lambda: _before("get", _say_much),
    "uncounted": _count_nothing,
    "blocks": _block,
    "leaks": _leak,
    "dies-soon": _die_soon,
    "crashes-a-job": _crash_a_job,
    "labels-by-user": _label_by_user,
}

if __name__ == "__main__":
    main()
