"""The background process, put together: relay, consumers, other jobs, and a socket for probes and metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.kit.clock import SystemClock, wait_or_stop
from app.kit.instruments import counter
from app.orders import settlement, timeline  # domain: orders
from app.patterns import idempotency, partitions, retention, tracing
from app.patterns.audit_log import Exporter, Sealer, open_store
from app.patterns.health import Health, HealthProbes
from app.patterns.inbox import Consumer, Forgetting, Handler
from app.patterns.metrics import MetricsEndpoint
from app.patterns.outbox import Relay, broker_for
from app.patterns.tenancy import across_tenants
from app.resources import Resources, configure_telemetry, open_jobs_engine, open_resources, start_health
from app.retention import rules
from app.server import serve_until
from app.settings import Settings

_Job = Callable[[], Awaitable[None]]
_RESTART_SECONDS = 1.0
_OBSERVE_SECONDS = 5.0
JOB_CRASHES = counter("worker_job_crashes_total", "Jobs that ended with an unexpected error.", {"job_name": 20})
_log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then finish what is in hand."""
    provider = configure_telemetry(settings)
    health = Health()
    probes = Starlette(middleware=[Middleware(HealthProbes, health=health), Middleware(MetricsEndpoint)])
    async with (
        open_resources(settings, provider, role="worker") as resources,
        open_jobs_engine(settings, provider) as jobs_engine,
    ):
        broker = broker_for(settings.broker)
        relay = Relay(jobs_engine, broker, settings.relay)
        forgetting = Forgetting(jobs_engine, settings.inbox)
        sealer = Sealer(jobs_engine, SystemClock(), settings.audit_log)
        months = partitions.Watch(jobs_engine, SystemClock(), settings.partitions)
        removal = retention.Watch(jobs_engine, rules())
        expired_keys = partial(across_tenants, jobs_engine, job="idempotency")
        consume = _consumers(settings, resources, stop)
        async with asyncio.TaskGroup() as tasks:
            jobs: dict[str, _Job] = {
                "relay": lambda: relay.run(stop),
                "relay-observer": lambda: _observe(relay, stop),
                "inbox-forgetting": lambda: forgetting.run(stop),
                "audit-sealer": lambda: sealer.run(stop),
                "partitions-watch": lambda: months.run(stop),
                "retention-watch": lambda: removal.run(stop),
                "idempotency": lambda: idempotency.sweep(expired_keys, SystemClock(), stop),
                timeline.CONSUMER: consume(timeline.CONSUMER, timeline.append, "order.>"),  # domain: orders
                "settlement": lambda: settlement.run(resources.orders, jobs_engine, stop),  # domain: orders
            }
            if store := open_store(settings.audit_log, SystemClock()):
                exporter = Exporter(jobs_engine, store, settings.audit_log)
                jobs["audit-exporter"] = lambda: exporter.run(stop)
            tasks.create_task(serve_until(stop, probes, settings.worker, health), name="probes")
            await start_health(health, settings, resources.engine)
            await _wait_until_ready(health, stop)
            for name, job in jobs.items():
                tasks.create_task(_keep_running(name, job, stop), name=name)
        await broker.close()
    tracing.shut_down(provider)


def _consumers(settings: Settings, resources: Resources, stop: asyncio.Event) -> Callable[[str, Handler, str], _Job]:
    def consume(name: str, handler: Handler, types: str) -> _Job:
        subject = f"{settings.broker.subject_prefix}.{types}"
        consumer = Consumer(name, handler, subject=subject, engine=resources.engine, settings=settings.consumer)
        return lambda: consumer.run(stop)

    return consume


async def _wait_until_ready(health: Health, stop: asyncio.Event) -> None:
    """Return when the database is there with the schema it should have: without it each job would look like a bug."""
    while not stop.is_set() and (await health.ready()).status == "fail":
        await wait_or_stop(stop, _RESTART_SECONDS)


async def _observe(relay: Relay, stop: asyncio.Event) -> None:
    """Keep the outbox's gauges up to date; its age must grow also while the relay itself is stuck."""
    while not stop.is_set():
        try:
            await relay.observe()
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("outbox.backlog_unknown", error=type(exc).__name__)
        await wait_or_stop(stop, _OBSERVE_SECONDS)


async def _keep_running(name: str, job: _Job, stop: asyncio.Event) -> None:
    """Run `job` again when it fails in a way it did not expect itself: one bug must not end the other jobs."""
    crashes = JOB_CRASHES.labels(name)  # its series exists before the first crash, which rate() would otherwise miss
    while not stop.is_set():
        try:
            await job()
        except Exception:  # noqa: BLE001 - whatever it is, it is logged, counted and survived
            crashes.inc()
            _log.exception("worker.job_crashed", job=name)
            await wait_or_stop(stop, _RESTART_SECONDS)
