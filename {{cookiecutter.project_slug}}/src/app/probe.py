"""The process that tries a customer's steps from outside. It needs the service's address, and nothing behind it.

Only this process has the metrics of journeys, so `app serve` and `app worker` must not import it.
"""

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.kit.clock import SystemClock
from app.orders import probe as orders_probe  # domain: orders
from app.patterns import metrics
from app.patterns.health import Health, HealthProbes
from app.patterns.metrics import MetricsEndpoint
from app.patterns.request_id import add_request_id
from app.patterns.synthetic_journey import ClientCredentials, Journey
from app.resources import configure_logs_and_metrics
from app.server import serve_until
from app.settings import ProbeProcess


async def run(process: ProbeProcess, stop: asyncio.Event) -> None:
    """Try the steps until `stop` is set. What comes of them is in the metrics: a failed journey is no fault of ours."""
    configure_logs_and_metrics(process)
    settings = process.probe
    health = Health()
    app = Starlette(middleware=[Middleware(HealthProbes, health=health), Middleware(MetricsEndpoint)])
    async with _client(process) as client, metrics.watched_event_loop(SystemClock()), asyncio.TaskGroup() as tasks:
        credentials = ClientCredentials(
            client,
            token_url=settings.token_url,
            client_id=settings.client_id,
            secret_file=settings.client_secret_file,
            parameters=settings.token_parameters,
        )
        journeys = {
            "order": orders_probe.steps(client, credentials),  # domain: orders
        }
        tasks.create_task(serve_until(stop, app, settings, health), name="probes")
        health.mark_started()
        for name, steps in journeys.items():
            journey = Journey(
                name,
                steps,
                interval_seconds=settings.interval_seconds,
                step_timeout_seconds=settings.step_timeout_seconds,
            )
            tasks.create_task(journey.run(stop), name=name)


def _client(process: ProbeProcess) -> httpx.AsyncClient:
    """Return a customer's client. Each request has a connection of its own: one kept open would hide a dead address."""
    return httpx.AsyncClient(
        base_url=process.probe.base_url,
        headers={"User-Agent": f"{process.service}-probe/{process.version}"},
        event_hooks={"request": [add_request_id]},
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=None,  # noqa: S113 - each step has its own deadline
    )
