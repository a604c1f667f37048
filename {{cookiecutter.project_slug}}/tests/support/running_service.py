"""The whole service as real processes: `app serve` and `app worker`, what they need, and what an outsider can see."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from dev.environment import Addresses, machine_variables, variables
from dev.http_server import ResettableProtocol, serving
from dev.nats import Nats
from dev.otlp_receiver import receiving
from dev.payment_simulator import PaymentSimulator
from dev.ports import free_port
from dev.postgres import PostgreSQL
from dev.token_issuer import TokenIssuer
from tests.support.eventually import eventually
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.service_process import ServiceProcess

READ_AND_WRITE = "orders:read orders:write"
ORDER = {"currency": "EUR", "items": [{"sku": "tea-1", "quantity": 2, "unit_price_minor": 1250}]}
_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@dataclass
class RunningService:
    """The service from outside: its addresses, its clients, its output."""

    addresses: Addresses
    issuer: TokenIssuer
    spans: OtlpReceiver
    env: Mapping[str, str]
    database: str
    processes: dict[str, ServiceProcess] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return f"http://127.0.0.1:{self.addresses.http_port}"

    @property
    def worker_url(self) -> str:
        """Base URL of the worker's probes and metrics."""
        return f"http://127.0.0.1:{self.addresses.worker_port}"

    @property
    def serve(self) -> ServiceProcess:
        """The HTTP process."""
        return self.processes["serve"]

    @property
    def worker(self) -> ServiceProcess:
        """The background process."""
        return self.processes["worker"]

    async def start(self, *commands: str) -> None:
        """Start `serve` or `worker` or both, and return when they are ready."""
        for command in commands:
            self.processes[command] = service_process(command, self.env)
            self.processes[command].start()
        for command in commands:
            url = self.url if command == "serve" else self.worker_url
            await self.processes[command].wait_until_ready(f"{url}/readyz", within_seconds=60)

    def token(self, *, tenant: str = "acme", scope: str = READ_AND_WRITE) -> str:
        """Return a good token."""
        return self.issuer.mint(tenant=tenant, actor="customer-7", scope=scope)

    def client(self, *, tenant: str = "acme", scope: str = READ_AND_WRITE) -> httpx.AsyncClient:
        """Return a client with a token of `tenant`."""
        headers = {"Authorization": f"Bearer {self.token(tenant=tenant, scope=scope)}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10)

    async def set_faults(self, **faults: object) -> None:
        """Set the payment provider's fault switches; without any, it is well."""
        async with httpx.AsyncClient(base_url=self.addresses.payments_url) as provider:
            (await provider.put("/faults", json=faults)).raise_for_status()

    async def authorisations(self) -> dict[str, dict[str, Any]]:
        """Return what the payment provider has decided, by order id."""
        async with httpx.AsyncClient(base_url=self.addresses.payments_url) as provider:
            return {decision["key"]: decision for decision in (await provider.get("/authorisations")).json()}

    async def samples(self, url: str | None = None) -> list[Sample]:
        """Return the samples of /metrics, as Prometheus reads them with exemplars."""
        async with httpx.AsyncClient() as client:
            exposed = (await client.get(f"{url or self.url}/metrics", headers=_OPENMETRICS)).text
        families: Iterable[Metric] = text_string_to_metric_families(exposed)  # type: ignore[no-untyped-call]  # no types
        return [sample for family in families for sample in family.samples]

    async def order(self, client: httpx.AsyncClient, order_id: str) -> dict[str, Any]:
        """Return one order as the API shows it."""
        shown: dict[str, Any] = (await client.get(f"/v1/orders/{order_id}")).raise_for_status().json()
        return shown

    async def in_state(self, client: httpx.AsyncClient, order_id: str, state: str, *events: str) -> dict[str, Any]:
        """Wait until an order is in `state` and its history tells of exactly `events`."""

        async def reached() -> dict[str, Any] | None:
            order = await self.order(client, order_id)
            told = [entry["type"] for entry in order["history"]]
            return order if (order["state"], told) == (state, list(events)) else None

        check: Callable[[], Awaitable[dict[str, Any] | None]] = reached
        return await eventually(check)


async def request_lines(process: ServiceProcess, request_id: str, event: str = "http.request") -> list[dict[str, Any]]:
    """Wait for the first line of `event` in one request, and return all there are."""
    return await eventually(lambda: [line for line in process.logged(event) if line.get("request_id") == request_id])


def service_process(command: str, env: Mapping[str, str]) -> ServiceProcess:
    """Return `app <command>`, not yet started, in an environment that holds `env` and the machine's own variables."""
    argv = (sys.executable, "-c", "from app.cli import main; main()", *command.split())
    return ServiceProcess(command, argv, {**machine_variables(), **env})


@contextmanager
def running_service(
    *, postgres: PostgreSQL, template: str, issuer: TokenIssuer, folder: Path, **settings: str
) -> Iterator[RunningService]:
    """Yield the service with a database, a broker, a payment provider and a trace collector of its own.

    Nothing of the service runs before `start`. The broker is a server of its own: the run's shared one is emptied after
    each test, and this world outlives tests.
    """
    name = f"journey_{uuid4().hex}"
    postgres.create_database(name, template=template)
    nats = Nats(folder / "nats")
    nats.start()
    with ExitStack() as stack:
        stack.callback(postgres.drop_database, name)
        stack.callback(nats.stop)
        payments_url = stack.enter_context(serving(PaymentSimulator().app(), http=ResettableProtocol))
        spans = stack.enter_context(receiving(OtlpReceiver()))
        addresses = Addresses(
            database_url=postgres.url(name),
            broker_url=nats.url(),
            payments_url=payments_url,
            jwks_url=issuer.jwks_url,
            http_port=free_port(),
            worker_port=free_port(),
        )
        tracing = {
            "APP_TRACING__RATIO": "1",
            "APP_TRACING__OTLP_ENDPOINT": spans.endpoint,
            "APP_TRACING__EXPORT_DELAY_SECONDS": "0.1",
        }
        crashes = {"APP_LOGGING__CRASH_FOLDER": str(folder / "crashes")}
        env = {**variables(addresses, env="test"), **tracing, **crashes, **settings}
        service = RunningService(addresses, issuer, spans, env, database=name)
        try:
            yield service
        finally:
            for process in reversed(service.processes.values()):
                process.process.stop()
