"""One drill from start to verdict."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import nats
import nats.errors

from dev.drill.fleet import Fleet
from dev.drill.load import Customers
from dev.drill.plan import Fault, Plan, Restart
from dev.drill.seats import POWER_CUT, Worker, until
from dev.drill.verdict import OrderFound, Verdict, judge

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0  # for the rest of the work when nothing is disturbed any more, and
_PATIENCE_PER_ORDER_SECONDS = 0.01  # for what is left of a large drill
_PAYMENT_FAULTS = {"error_every": 31, "reset_every": 43, "garbage_every": 59}

# Each order with the article that names its request, and the events that have taken effect.
_FOUND = """
    SELECT coalesce(json_agg(json_build_array(o.items->0->>'sku', o.state, (
        SELECT coalesce(json_agg(json_build_array(t.position, t.type) ORDER BY t.position), '[]')
        FROM order_timeline t WHERE t.tenant_id = o.tenant_id AND t.order_id = o.id
    ))), '[]') FROM orders o
"""
# What waits for a worker: events to publish, and orders to settle.
_WAITING = """
    SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM orders WHERE settle_after IS NOT NULL)
"""
_STRAY = "SELECT count(*) FROM order_timeline t WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = t.order_id)"


@dataclass(slots=True)
class Result:
    """What a drill has shown."""

    plan: Plan
    verdict: Verdict
    requests: int = 0
    gave_up: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    """Messages in the broker; what exceeds the expected events was published again, and dropped by the inbox."""
    faults_missed: int = 0
    """Planned faults that did not come about: without them the drill proves less than it says."""
    left_over: str = ""
    """What still waited when patience was over."""
    surprises: list[str] = field(default_factory=list)
    kills: int = 0
    """Processes that were killed with SIGKILL, of every kind."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything went wrong as planned, and nothing else did."""
        return self.verdict.clean and not (self.left_over or self.surprises or self.faults_missed)


async def drill(plan: Plan, folder: Path) -> Result:
    """Run `plan` with its processes, data and logs in `folder`."""
    began = time.monotonic()
    fleet = Fleet(folder, workers=plan.workers)
    try:
        await fleet.start()
        await fleet.disturb_payments(**_PAYMENT_FAULTS)
        customers = Customers(plan, url=fleet.url, token=await fleet.token())
        seats = [asyncio.create_task(seat.run()) for seat in fleet.seats]
        try:
            await fleet.ready()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(customers.run())
                tasks.create_task(_disturb(plan.faults, fleet, customers))
            left_over = await _settle(fleet, _PATIENCE_SECONDS + plan.orders * _PATIENCE_PER_ORDER_SECONDS)
        finally:
            for seat in seats:
                seat.cancel()
            await asyncio.gather(*seats, return_exceptions=True)
        result = await _examine(plan, fleet, customers)
        result.left_over = left_over
    finally:
        await asyncio.to_thread(fleet.stop)
    result.seconds = time.monotonic() - began
    return result


async def _disturb(faults: tuple[Fault, ...], fleet: Fleet, customers: Customers) -> None:
    for fault in faults:
        await until(partial(_due, fault, customers))
        if isinstance(fault.what, Restart):
            await fleet.restart(fault.what)
            continue
        worker = fleet.workers[fault.what.worker]
        await _until_dead([worker], customers)  # one death at a time, or it would miss its crash point
        worker.strike(fault.what)
    await _until_dead(fleet.workers, customers)


def _due(fault: Fault, customers: Customers) -> bool:
    return customers.asked >= fault.after_orders


async def _until_dead(workers: Sequence[Worker], customers: Customers) -> None:
    """Wait for workers that are on their way to a crash point, which they reach only while orders come in."""
    customers.slow = True
    await until(lambda: customers.finished or not any(worker.doomed for worker in workers))
    customers.slow = False


async def _settle(fleet: Fleet, patience_seconds: float) -> str:
    """Wait until nothing is left to do anywhere; return what is, if it takes too long."""
    deadline = time.monotonic() + patience_seconds
    while True:
        in_database = await asyncio.to_thread(fleet.query, _WAITING)
        _, in_broker = await _broker(fleet)
        if (in_database, in_broker) == ("0|0", 0):
            return ""
        if time.monotonic() > deadline:
            return f"outbox|open orders: {in_database}, in the broker: {in_broker}"
        await asyncio.sleep(_LOOK_SECONDS)


async def _broker(fleet: Fleet) -> tuple[int, int]:
    """Return how many messages the broker holds, and how many of them the consumer has not acknowledged."""
    client = await nats.connect(fleet.nats.url(), connect_timeout=2)
    try:
        jetstream = client.jetstream()
        consumer = await jetstream.consumer_info("EVENTS", "order-timeline")
        stream = await jetstream.stream_info("EVENTS")
    except nats.errors.Error:  # not there yet
        return 0, -1
    finally:
        await client.close()
    return stream.state.messages, (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)


async def _examine(plan: Plan, fleet: Fleet, customers: Customers) -> Result:
    rows = json.loads(await asyncio.to_thread(fleet.query, _FOUND))
    found = [
        OrderFound(sku, state, tuple((number, type_) for number, type_ in history)) for sku, state, history in rows
    ]
    verdict = judge(found, customers.promises, customers.answers)
    stored, _ = await _broker(fleet)
    deaths = sum((worker.deaths for worker in fleet.workers), Counter[str]())
    surprises = [surprise for seat in fleet.seats for surprise in seat.surprises]
    stray = int(await asyncio.to_thread(fleet.query, _STRAY))
    if stray:
        surprises.append(f"{stray} events of orders that do not exist")
    planned = sum(1 if isinstance(fault.what, Restart) else 2 for fault in plan.faults)
    return Result(
        plan,
        verdict,
        requests=customers.answers.total(),
        gave_up=customers.gave_up,
        answers=customers.answers,
        deaths=deaths,
        restarts=fleet.restarts,
        stored=stored,
        faults_missed=planned - (deaths.total() - deaths[POWER_CUT]) - fleet.restarts.total(),
        surprises=surprises,
        kills=sum(seat.deaths.total() for seat in fleet.seats) + fleet.servers_killed,
    )
