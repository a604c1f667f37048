"""The whole service with its probe, a Prometheus that scrapes it, and who asks from outside."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.environment import PROBE
from dev.http_server import serving
from dev.monitoring import Alertmanager, Prometheus
from dev.ops import alerts, slos
from dev.prove.outside import Outside
from dev.prove.scaled import prometheus_config, rules
from tests.support.app_command import app, operators_variables
from tests.support.probing import RunningProbe
from tests.support.running_service import ORDER, RunningService

SERVICE = "orders"
_NOBODY = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


@dataclass(frozen=True, slots=True)
class Watched:
    """A service, and what watches it."""

    service: RunningService
    probe: RunningProbe
    prometheus: Prometheus


@contextmanager
def watched(service: RunningService, folder: Path, *, database_url: str) -> Iterator[Watched]:
    """Yield a running service with everything around it, and customers of each kind that came by once.

    The probe goes on to place, read and cancel orders, five times a second.
    """
    secret = folder / "secret"
    secret.write_text("opens-the-door")
    service.issuer.clients[PROBE] = secret
    with ExitStack() as stack:
        tokens = stack.enter_context(serving(service.issuer.app()))
        probe = RunningProbe(base_url=service.url, token_url=f"{tokens}/token", secret_file=secret)
        alertmanager = Alertmanager(folder / "alertmanager", _NOBODY)
        stack.callback(alertmanager.stop)
        alertmanager.start()
        outside = Outside(folder / "outside", http_port=service.addresses.http_port)
        stack.callback(outside.stop)
        outside.start()
        prometheus = _prometheus(folder, service, probe, alertmanager, outside)
        stack.callback(prometheus.stop)
        stack.callback(probe.process.process.stop)
        asyncio.run(_begin(service, probe, database_url))
        prometheus.start()
        yield Watched(service, probe, prometheus)
    del service.issuer.clients[PROBE]


def _prometheus(
    folder: Path, service: RunningService, probe: RunningProbe, alertmanager: Alertmanager, outside: Outside
) -> Prometheus:
    levels = slos.read()
    own = folder / "rules"
    own.mkdir()
    for name, text in rules(alerts.read(levels), levels).items():
        (own / name).write_text(text)
    at = {"http": service.url, "worker": service.worker_url, "probe": probe.url}
    address = alertmanager.url.removeprefix("http://")
    targets = {
        SERVICE: {job: [url.removeprefix("http://")] for job, url in at.items()},
        "monitoring": {"alertmanager": [address]},
    }
    questions = {**outside.questions, "readiness": f"{service.url}/readyz"}  # there is no load balancer here
    asked = {SERVICE: (outside.blackbox.url.removeprefix("http://"), questions)}
    return Prometheus(folder / "prometheus", prometheus_config([f"{own}/*.yaml"], targets, address, asked))


async def _begin(service: RunningService, probe: RunningProbe, database_url: str) -> None:
    for daily in ("partitions ahead", "retention run"):
        done = await app(operators_variables(database_url), daily)
        assert done.code == 0, done.err
    await service.start("serve", "worker")
    await probe.start()
    async with service.client() as client:
        placed = await client.post("/v1/orders", json=ORDER)
        await service.in_state(client, placed.json()["id"], "placed", "order.placed")
    await probe.succeeds()
