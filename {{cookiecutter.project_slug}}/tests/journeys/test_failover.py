"""The primary dies under load and its replica is promoted: nothing that was promised is lost, no process restarts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from dev.postgres import JOBS_LOGIN, SERVICE_LOGIN
from dev.token_issuer import TokenIssuer
from tests.conftest import migrate
from tests.support.eventually import eventually
from tests.support.replicated import Replicated, as_login, replicated
from tests.support.running_service import ORDER, RunningService, running_service

pytestmark = pytest.mark.xdist_group("failover")
_TEMPLATE = "template_failover"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Replicated]:
    """Yield a primary and a synchronous replica, migrated."""
    with replicated(tmp_path / "servers", synchronous=True) as servers:
        servers.primary.create_database(_TEMPLATE)
        asyncio.run(migrate(servers.primary.url(_TEMPLATE)))
        yield servers


@pytest.fixture
async def service(servers: Replicated, token_issuer: TokenIssuer, tmp_path: Path) -> AsyncIterator[RunningService]:
    """Yield the whole service, which knows both servers, and reads from the replica."""
    with running_service(postgres=servers.primary, template=_TEMPLATE, issuer=token_issuer, folder=tmp_path) as service:
        replica = as_login(servers.replica.url(service.database), SERVICE_LOGIN)
        service.env = {
            **service.env,
            "APP_DATABASE__URL": servers.url_of_both(service.database, SERVICE_LOGIN),
            "APP_DATABASE__JOBS_URL": servers.url_of_both(service.database, JOBS_LOGIN),
            "APP_REPLICAS__URLS": f'["{replica}"]',
            "APP_REPLICAS__LOOK_SECONDS": "0.1",
        }
        await service.start("serve", "worker")
        yield service
        for process in service.processes.values():
            process.process.stop()
        # For the database to be dropped, as always; nobody follows this server any more.
        servers.primary.start()
        servers.primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
        servers.primary.execute("SELECT pg_reload_conf()")


async def test_writes_resume_after_a_promotion(servers: Replicated, service: RunningService) -> None:
    """Every order that was answered for is there, told and in effect; reads went on without a primary."""
    promised: list[str] = []
    async with service.client() as client, _customers(client, promised):
        await eventually(lambda: promised)
        await eventually(lambda: _reads_from_a_replica(service))
        servers.primary.kill()
        read = await client.get(f"/v1/orders/{promised[0]}")
        refused = await client.post("/v1/orders", json=ORDER)
        servers.replica.promote()
        promoted, before = time.monotonic(), len(promised)
        await eventually(lambda: len(promised) > before, within_seconds=30)
        print(f"writes resumed {time.monotonic() - promoted:.2f} s after the promotion")
    async with service.client() as client:
        for order_id in promised:
            await service.in_state(client, order_id, "placed", "order.placed")

    assert read.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert service.serve.process.running
    assert service.worker.process.running


@asynccontextmanager
async def _customers(client: httpx.AsyncClient, promised: list[str]) -> AsyncIterator[None]:
    """Place orders, three at a time, until the block ends; a refusal is followed by another try."""

    async def customer() -> None:
        while True:
            answer = await client.post("/v1/orders", json=ORDER)
            if answer.status_code == HTTPStatus.CREATED:
                promised.append(answer.json()["id"])
            else:
                await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(customer()) for _ in range(3)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [error for error in ended if not isinstance(error, asyncio.CancelledError)] == []


async def _reads_from_a_replica(service: RunningService) -> bool:
    samples = await service.samples()
    return any(sample.name == "read_replicas_in_use" and sample.value == 1 for sample in samples)
