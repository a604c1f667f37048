"""A worker that is killed at any point of its work: the next one finishes it, and each event is in effect once."""

import asyncio
import signal
import sys
from dataclasses import dataclass

import httpx
import nats
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dev.crashing_worker import CrashPoint, last_words
from dev.environment import APP, Addresses, variables
from dev.ports import free_port
from dev.token_issuer import TokenIssuer
from tests.conftest import StartProcess
from tests.support.eventually import eventually
from tests.support.service_process import ServiceProcess

ORDERS = 24  # all of them are cancelled: whichever event a crash delays, another one could overtake it
EVENTS = 2 * ORDERS
WORKER = {
    "APP_RELAY__LANES_PER_PASS": "64",  # one pass takes everything, so that a crash concerns every event
    "APP_CONSUMER_ACK_WAIT_SECONDS": "3",  # what a killed consumer had in hand comes again after this
}


@dataclass(frozen=True)
class Left:
    """What the killed worker left behind."""

    waiting: int
    """Rows in the outbox."""
    stored: int
    """Messages in the broker."""
    in_effect: int
    """Events in the inbox."""


DONE = Left(waiting=0, stored=EVENTS, in_effect=EVENTS)
HISTORIES = {"cancelled: 1 order.placed, 2 order.cancelled": ORDERS}


class Shop:
    """The service with its server running and no worker; orders wait in the outbox until one is started."""

    def __init__(self, engine: AsyncEngine, addresses: Addresses, start_process: StartProcess, token: str) -> None:
        self._engine = engine
        self._addresses = addresses
        self._start_process = start_process
        self._token = token

    async def take_orders(self) -> None:
        """Place all orders and then cancel them, over HTTP."""
        url = f"http://127.0.0.1:{self._addresses.http_port}"
        body = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 1, "unit_price_minor": 500}]}
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {self._token}"}) as client:
            placed = [(await client.post("/v1/orders", json=body)).raise_for_status().json() for _ in range(ORDERS)]
            for order in placed:
                (await client.post(f"/v1/orders/{order['id']}/cancel")).raise_for_status()

    async def run_worker_until_killed(self, point: CrashPoint, *, nth: int) -> tuple[int | None, str]:
        """Run a worker that dies at `point`; return its exit code and its last words."""
        worker = self._start_worker(sys.executable, "-m", "dev.crashing_worker", point, str(nth))
        code = await asyncio.to_thread(lambda: worker.process.wait(timeout_seconds=60))
        return code, worker.lines[-1]

    async def start_standby(self) -> ServiceProcess:
        """Return a worker that is ready, and stands still until it is told to go on."""
        port = free_port()
        worker = self._start_worker(*APP, "worker", APP_WORKER__PORT=str(port))
        await worker.wait_until_ready(f"http://127.0.0.1:{port}/readyz", within_seconds=60)
        worker.process.send(signal.SIGSTOP)
        return worker

    async def run_worker_until_done(self, standby: ServiceProcess | None = None) -> None:
        """Let a worker run, `standby` or a new one, until nothing waits in the outbox or in the broker."""
        if standby:
            standby.process.send(signal.SIGCONT)
        else:
            self._start_worker(*APP, "worker")
        await eventually(self._worked_off, within_seconds=60)

    async def left(self) -> Left:
        """Return what is where at this moment."""
        async with self._engine.connect() as connection:
            waiting = await connection.scalar(text("SELECT count(*) FROM outbox"))
            in_effect = await connection.scalar(text("SELECT count(*) FROM inbox"))
        return Left(waiting or 0, await self._stored(), in_effect or 0)

    async def histories(self) -> dict[str, int]:
        """Return each distinct history, such as `placed: 1 order.placed`, and how many orders have it."""
        query = """
            SELECT coalesce(history, 'none') AS history, count(*) AS orders FROM (
                SELECT o.state || ': ' || string_agg(t.position || ' ' || t.type, ', ' ORDER BY t.position)
                FROM orders o LEFT JOIN order_timeline t ON t.order_id = o.id GROUP BY o.id
            ) AS of_order(history) GROUP BY history
        """
        async with self._engine.connect() as connection:
            return {row.history: row.orders for row in await connection.execute(text(query))}

    async def _worked_off(self) -> bool:
        """Return whether nothing waits: no event in the outbox or in the broker."""
        client = await nats.connect(self._addresses.broker_url)
        try:
            consumer = await client.jetstream().consumer_info("EVENTS", "order-timeline")
        except nats.js.errors.NotFoundError:
            return False
        finally:
            await client.close()
        return (await self.left()).waiting == 0 and consumer.num_pending == 0 and consumer.num_ack_pending == 0

    def _start_worker(self, *argv: str, **environment: str) -> ServiceProcess:
        env = {**variables(self._addresses, env="test"), **WORKER, **environment}
        return self._start_process("worker", *argv, env=env)

    async def _stored(self) -> int:
        client = await nats.connect(self._addresses.broker_url)
        try:
            return (await client.jetstream().stream_info("EVENTS")).state.messages
        except nats.js.errors.NotFoundError:
            return 0
        finally:
            await client.close()


@pytest.fixture
async def shop(
    engine: AsyncEngine,
    addresses: Addresses,
    start_app: StartProcess,
    start_process: StartProcess,
    token_issuer: TokenIssuer,
) -> Shop:
    server: ServiceProcess = start_app("serve")
    await server.wait_until_ready(f"http://127.0.0.1:{addresses.http_port}/readyz", within_seconds=60)
    return Shop(engine, addresses, start_process, token_issuer.mint(scope="orders:write"))


@pytest.mark.parametrize(
    ("point", "waiting", "stored"),
    [
        (CrashPoint.RELAY_BEFORE_CLAIM, EVENTS, 0),
        (CrashPoint.RELAY_AFTER_PUBLISH, EVENTS, EVENTS),
        (CrashPoint.RELAY_AFTER_MARK, EVENTS, EVENTS),
        (CrashPoint.RELAY_AFTER_COMMIT, 0, EVENTS),
    ],
)
async def test_a_relay_killed_in_its_first_pass_neither_loses_nor_repeats_an_event(
    shop: Shop, point: CrashPoint, waiting: int, stored: int
) -> None:
    """Whether the table or the broker was ahead when the relay died: each event takes effect once, in order."""
    await shop.take_orders()
    assert await shop.run_worker_until_killed(point, nth=1) == (-9, last_words(point))
    left = await shop.left()  # the consumer in the same process may have begun with what was stored
    assert (left.waiting, left.stored) == (waiting, stored)

    await shop.run_worker_until_done()

    assert await shop.left() == DONE
    assert await shop.histories() == HISTORIES


@pytest.mark.parametrize(
    ("point", "in_effect"),
    [(CrashPoint.CONSUMER_BEFORE_COMMIT, 4), (CrashPoint.CONSUMER_AFTER_COMMIT, 5)],
)
async def test_a_consumer_killed_at_its_fifth_event_neither_loses_nor_repeats_it(
    shop: Shop, point: CrashPoint, in_effect: int
) -> None:
    """The next consumer, waiting already, goes on with the event that the killed one had in hand, not behind it."""
    standby = await shop.start_standby()
    await shop.take_orders()
    assert await shop.run_worker_until_killed(point, nth=5) == (-9, last_words(point))
    assert (await shop.left()).in_effect == in_effect

    await shop.run_worker_until_done(standby)

    assert await shop.left() == DONE
    assert await shop.histories() == HISTORIES
