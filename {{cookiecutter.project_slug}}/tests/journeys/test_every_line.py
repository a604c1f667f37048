"""Every line of the log keeps to the published schema: from the first start to the last, through whatever happens."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from dev.environment import database_variables
from dev.postgres import PostgreSQL
from tests.support.eventually import eventually
from tests.support.log_lines import violations
from tests.support.running_service import ORDER, RunningService, service_process
from tests.support.service_process import ServiceProcess

NewService = Callable[..., RunningService]
EVENTS = {
    "authentication.keys_changed",
    "health.readiness_changed",
    "http.request",
    "inbox.message_handled",
    "logging.lines_dropped",
    "migrations.finished",
    "migrations.step_applied",
    "migrations.up_to_date",
    "orders.settlement_postponed",
    "payments.call_failed",
    "process.crashed",
    "server.draining",
    "server.listening",
}
"""Of the events that this life brings, those that it must."""
STATUSES = {200, 201, 401, 404, 405, 413, 422, 500}
BURST = 40


async def test_every_line_of_a_life_keeps_to_the_schema(
    new_service: NewService, postgres: PostgreSQL, record_property: Callable[[str, object], None]
) -> None:
    """Migration, start, journeys, a bug, an outage, a flood, a crash, a kill, restarts and the end: no other line."""
    limits = {"APP_LOGGING__BURST": str(BURST), "APP_LOGGING__RATE_PER_SECOND": "0.001"}
    service = new_service(APP_ORDERS__SETTLE_AFTER_SECONDS="0.3", **limits)
    migrations = await migrate_twice(service.env, postgres)
    await service.start("serve", "worker")
    crashing, killed = service.serve, service.worker
    async with service.client() as client:
        await use(client, service, postgres)

        crashing.process.send(signal.SIGSEGV)
        killed.kill()
        codes = [process.process.wait(timeout_seconds=20) for process in (crashing, killed)]
        await service.start("serve", "worker")
        await flood(service.url)
    codes += [await asyncio.to_thread(process.terminate) for process in (service.serve, service.worker)]

    lines = lines_of(*migrations, crashing, killed, service.serve, service.worker)
    counted = Counter(line["event"] for line in lines)
    record_property("log_lines", len(lines))
    print(f"{len(lines)} lines:", dict(counted.most_common()))
    assert codes == [-signal.SIGSEGV, -signal.SIGKILL, 0, 0]
    assert counted.keys() >= EVENTS
    assert {line["status"] for line in lines if line["event"] == "http.request"} >= STATUSES
    assert [(line, broken) for line in lines if (broken := violations(line))] == []


async def test_the_next_process_says_where_the_last_one_crashed(new_service: NewService) -> None:
    """After a segmentation fault nothing but lines was written, and the stack is in the log of the restart, once."""
    service = new_service()
    await service.start("worker")
    crashed = service.worker

    crashed.process.send(signal.SIGSEGV)
    crashed.process.wait(timeout_seconds=20)
    await service.start("worker")
    service.worker.terminate()

    (line,) = service.worker.logged("process.crashed")
    assert lines_of(crashed)
    assert (line["level"], line["exception"]["type"]) == ("critical", "Segmentation fault")
    assert line["crashed_pid"] == crashed.process.pid
    # Where it was is chance: often in the event loop, sometimes in a greenlet, whose stack has a root of its own.
    assert line["exception"]["frames"]
    assert all(frame["module"] and frame["function"] and frame["line"] for frame in line["exception"]["frames"])


async def migrate_twice(env: Mapping[str, str], postgres: PostgreSQL) -> list[ServiceProcess]:
    """Run `app migrate` on an empty database, and once more."""
    postgres.create_database("every_line")
    try:
        runs = [service_process("migrate", {**env, **database_variables(postgres.url("every_line"))}) for _ in range(2)]
        for run in runs:
            run.start()
            await asyncio.to_thread(run.process.wait, timeout_seconds=60)
    finally:
        postgres.drop_database("every_line")
    return runs


async def use(client: httpx.AsyncClient, service: RunningService, postgres: PostgreSQL) -> None:
    """Place orders, make mistakes, meet a bug and a payment provider that breaks off."""
    placed = await client.post("/v1/orders", json=ORDER)
    await service.in_state(client, placed.json()["id"], "placed", "order.placed")
    await client.get("/v1/orders", headers={"authorization": "Bearer nonsense"})
    await client.get("/v1/nowhere")
    await client.delete("/v1/orders")
    await client.post("/v1/orders", json={"currency": "none"})
    await client.post("/v1/orders", content=b" " * 2_000_000)

    postgres.execute("ALTER TABLE orders RENAME TO elsewhere", database=service.database)
    failed = await client.get("/v1/orders")
    postgres.execute("ALTER TABLE elsewhere RENAME TO orders", database=service.database)
    assert failed.status_code == httpx.codes.INTERNAL_SERVER_ERROR

    await service.set_faults(reset_every=1)
    await client.post("/v1/orders", json=ORDER)
    await eventually(lambda: service.worker.logged("orders.settlement_postponed"))
    await service.set_faults()


async def flood(url: str) -> None:
    """Send more requests without a token than the log takes of one event."""
    async with httpx.AsyncClient(base_url=url) as stranger:
        for _ in range(2 * BURST):
            await stranger.get("/v1/orders")


def lines_of(*processes: ServiceProcess) -> list[dict[str, Any]]:
    """Return all that these processes have written: standard error is in there too, and anything but JSON fails."""
    return [json.loads(line) for process in processes for line in process.lines]
