"""PostgreSQL or NATS is not there: processes stay up, say so, and go on without a restart when it comes."""

import asyncio
from functools import partial
from pathlib import Path

import httpx
import pytest

from dev.environment import Addresses, database_variables
from dev.nats import Nats
from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.conftest import StartProcess
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, READ_AND_WRITE
from tests.support.service_process import ServiceProcess

QUICK = {"APP_DATABASE__CONNECT_TIMEOUT_SECONDS": "1", "APP_ORDERS__SETTLE_AFTER_SECONDS": "0.3"}


@pytest.fixture
def headers(token_issuer: TokenIssuer) -> dict[str, str]:
    """Return the headers of an authenticated caller."""
    return {"Authorization": f"Bearer {token_issuer.mint(scope=READ_AND_WRITE)}"}


async def test_postgresql_that_comes_late_is_waited_for(
    tmp_path: Path, start_app: StartProcess, addresses: Addresses, headers: dict[str, str]
) -> None:
    """Without PostgreSQL both processes live, unready, and answer 503; with it they work, without a restart."""
    postgres = PostgreSQL(tmp_path / "postgres", durable=False)
    settings = {**QUICK, **database_variables(postgres.url())}
    serve, worker = start_app("serve", **settings), start_app("worker", **settings)
    for process, port in ((serve, addresses.http_port), (worker, addresses.worker_port)):
        await process.wait_until_ready(f"http://127.0.0.1:{port}/startupz", within_seconds=60)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{addresses.http_port}", headers=headers) as client:
        refused = await client.post("/v1/orders", json=ORDER)
        live, unready = await client.get("/livez"), await client.get("/readyz")
        try:
            postgres.start()
            migrated = start_app("migrate", **settings).process.wait(timeout_seconds=60)
            await serve.wait_until_ready(f"{client.base_url}/readyz", within_seconds=30)
            await worker.wait_until_ready(f"http://127.0.0.1:{addresses.worker_port}/readyz", within_seconds=30)
            placed = await client.post("/v1/orders", json=ORDER)
            history = await eventually(lambda: history_of(client, placed), within_seconds=20)
        finally:
            serve.terminate()
            worker.terminate()
            postgres.stop()

    (first, *_) = serve.logged("health.readiness_changed")
    (request_line,) = [line for line in serve.logged("http.request") if line["status"] == 503]
    assert (live.status_code, unready.status_code, migrated) == (200, 503, 0)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert (refused.headers["retry-after"], request_line["error_code"]) == ("1", "database_unavailable")
    assert (first["level"], first["status"], [*first["checks"]]) == ("warning", "fail", ["database", "schema"])
    assert (placed.status_code, history) == (201, ["order.placed"])
    assert crashes(serve) + crashes(worker) == []


async def test_postgresql_that_restarts_is_survived(
    tmp_path: Path, start_app: StartProcess, addresses: Addresses, headers: dict[str, str]
) -> None:
    """Requests during a restart of PostgreSQL are answered 503, those after it as before."""
    postgres = PostgreSQL(tmp_path / "postgres", durable=False)
    postgres.start()
    settings = {**QUICK, **database_variables(postgres.url())}
    try:
        start_app("migrate", **settings).process.wait(timeout_seconds=60)
        serve, worker = start_app("serve", **settings), start_app("worker", **settings)
        url = f"http://127.0.0.1:{addresses.http_port}"
        await serve.wait_until_ready(f"{url}/readyz", within_seconds=60)
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            before = await client.post("/v1/orders", json=ORDER)
            postgres.stop()
            during = [await client.post("/v1/orders", json=ORDER) for _ in range(3)]
            postgres.start()
            await serve.wait_until_ready(f"{url}/readyz", within_seconds=30)
            after = await client.post("/v1/orders", json=ORDER)
            told = [
                await eventually(partial(history_of, client, answer), within_seconds=30) for answer in (before, after)
            ]
        codes = (serve.terminate(), worker.terminate())
    finally:
        postgres.stop()

    assert (before.status_code, after.status_code, codes) == (201, 201, (0, 0))
    assert {(answer.status_code, answer.json()["code"]) for answer in during} == {(503, "database_unavailable")}
    assert told == [["order.placed"]] * 2
    assert crashes(serve) + crashes(worker) == []


async def test_nats_that_comes_late_is_waited_for(
    tmp_path: Path, start_app: StartProcess, addresses: Addresses, headers: dict[str, str]
) -> None:
    """Without NATS orders are taken and the worker says what it misses; with it every event arrives."""
    nats = Nats(tmp_path / "nats")
    settings = {**QUICK, "APP_BROKER__URL": nats.url()}
    serve, worker = start_app("serve", **settings), start_app("worker", **settings)
    url = f"http://127.0.0.1:{addresses.http_port}"
    await serve.wait_until_ready(f"{url}/readyz", within_seconds=60)
    await worker.wait_until_ready(f"http://127.0.0.1:{addresses.worker_port}/readyz", within_seconds=60)

    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        placed = await client.post("/v1/orders", json=ORDER)
        missed = await eventually(lambda: worker.logged("outbox.pass_failed"))
        await eventually(lambda: worker.logged("inbox.broker_unavailable"))
        nats.start()
        try:
            history = await eventually(lambda: history_of(client, placed), within_seconds=30)
            code = worker.terminate()
        finally:
            nats.stop()

    assert (placed.status_code, history, code) == (201, ["order.placed"], 0)
    assert (missed[0]["level"], missed[0]["reason"]) == ("warning", "broker")
    assert crashes(worker) == []


async def test_worker_that_waits_for_nats_stops_when_told(
    tmp_path: Path, start_app: StartProcess, addresses: Addresses
) -> None:
    """Waiting for the broker does not make a worker deaf: SIGTERM ends it with exit code 0 within seconds."""
    worker = start_app("worker", APP_BROKER__URL=Nats(tmp_path / "nats").url())
    await worker.wait_until_ready(f"http://127.0.0.1:{addresses.worker_port}/readyz", within_seconds=60)
    await eventually(lambda: worker.logged("inbox.broker_error"))

    assert await asyncio.to_thread(worker.terminate, timeout_seconds=10) == 0


async def history_of(client: httpx.AsyncClient, placed: httpx.Response) -> list[str]:
    """Return the types of the events in an order's history so far."""
    order = (await client.get(placed.headers["location"])).json()
    return [entry["type"] for entry in order.get("history", [])]


def crashes(process: ServiceProcess) -> list[str]:
    """Return the lines that no outage excuses: crashed jobs, and output that is no log line."""
    crashed = [str(line) for event in ("worker.job_crashed", "process.crashed") for line in process.logged(event)]
    return crashed + [line for line in process.lines if not line.startswith("{")]
