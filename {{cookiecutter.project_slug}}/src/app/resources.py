"""Opens what lives as long as the process, and closes it in reverse order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import disable_created_metrics
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import Clock, SystemClock
from app.kit.db import Base, DatabaseSettings, create_engine, ping
from app.orders import flags as order_flags  # domain: orders
from app.orders.payments import HttpPaymentProvider  # domain: orders
from app.orders.service import Orders  # domain: orders
from app.patterns import database_telemetry, feature_flags, metrics, migrations, structured_logging, tenancy, tracing
from app.patterns.feature_flags import FeatureFlags
from app.patterns.health import Health
from app.patterns.outbound_telemetry import MeasuredClient
from app.patterns.outbox import Notifier
from app.patterns.read_replicas import ReadReplicas
from app.patterns.request_id import add_request_id
from app.settings import ProcessSettings, Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections, and what is built on them."""

    engine: AsyncEngine
    http_client: httpx.AsyncClient
    reads: ReadReplicas
    orders: Orders  # domain: orders


def configure_telemetry(settings: Settings) -> TracerProvider:
    """Set up logs, traces and metrics under the service's identity; the first thing a process does."""
    configure_logs_and_metrics(settings)
    return tracing.configure(settings.tracing, service=settings.service, env=settings.env, version=settings.version)


def configure_logs_and_metrics(settings: ProcessSettings) -> None:
    """Set up all of it but traces, for a process that makes none."""
    service, env, version = settings.service, settings.env, settings.version
    structured_logging.configure(settings.logging, service=service, env=env, version=version)
    structured_logging.watch_interpreter(settings.logging, service=service)
    # Without a second series for each counter, which tells only when it was made.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
    metrics.set_build_info(service=service, env=env, version=version)


@asynccontextmanager
async def open_resources(settings: Settings, provider: TracerProvider, *, role: str) -> AsyncIterator[Resources]:
    """Open everything lazily: a dependency that is down now does not keep the process from starting."""
    clock = SystemClock()
    engine = _open_engine(settings, settings.database, provider, pool=role, acts_as=tenancy.USER_ROLE)
    known_hosts = [
        httpx.URL(settings.payments.url).host,  # domain: orders
    ]
    http_client = MeasuredClient(known_hosts=known_hosts, provider=provider, event_hooks={"request": [add_request_id]})
    payments = HttpPaymentProvider(http_client, settings.payments)  # domain: orders
    flags = FeatureFlags(
        [
            *order_flags.REGISTERED,  # domain: orders
        ],
        settings.feature_flags,
        service=settings.service,
        env=settings.env,
        clock=clock,
    )
    try:
        async with (
            _open_reads(settings, provider, engine, clock) as reads,
            feature_flags.running(flags, settings.feature_flags),
            metrics.watched_event_loop(clock),
            Notifier(engine),  # whoever commits events wakes the relays, a settlement in the worker too
        ):
            yield Resources(
                engine=engine,
                http_client=http_client,
                reads=reads,
                orders=Orders(engine, payments, clock, settings.orders, reads=reads, features=flags),  # domain: orders
            )
    finally:
        await http_client.aclose()
        await engine.dispose()


@asynccontextmanager
async def open_jobs_engine(settings: Settings, provider: TracerProvider) -> AsyncIterator[AsyncEngine]:
    """Open the connections of work that looks at all tenants' rows; requests have none of these."""
    url = settings.database.jobs_url or settings.database.url
    own = settings.database.model_copy(update={"url": url})
    engine = _open_engine(settings, own, provider, pool="jobs", acts_as=tenancy.JOBS_ROLE)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def _open_reads(
    settings: Settings, provider: TracerProvider, primary: AsyncEngine, clock: Clock
) -> AsyncIterator[ReadReplicas]:
    engines = [
        _open_engine(
            settings,
            settings.database.model_copy(update={"url": url}),
            provider,
            pool=f"replica-{number}",
            acts_as=tenancy.USER_ROLE,
            replica=True,
        )
        for number, url in enumerate(settings.replicas.urls)
    ]
    reads = ReadReplicas(primary, engines, settings.replicas, clock)
    watching = [asyncio.create_task(reads.watch(), name="read-replicas-watcher")] if engines else []
    try:
        yield reads
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for engine in engines:
            await engine.dispose()


def _open_engine(
    settings: Settings,
    database: DatabaseSettings,
    provider: TracerProvider,
    *,
    pool: str,
    acts_as: str,
    replica: bool = False,
) -> AsyncEngine:
    name = f"{settings.service}-{pool}"
    engine = create_engine(
        database, application_name=name, role=acts_as, replica=replica, poolclass=database_telemetry.MeasuredPool
    )
    database_telemetry.instrument(engine, pool=pool, tables=Base.metadata.tables, provider=provider)
    return engine


async def start_health(health: Health, settings: Settings, engine: AsyncEngine) -> None:
    """Say what readiness asks for: a database that answers, with the schema that this code was written for.

    Asks once now, so that a start without them is in the log; the process waits for them, it does not end.
    """
    known = migrations.revisions(settings.migrations)
    health.add_check("database", lambda: ping(engine))
    health.add_check("schema", lambda: migrations.require_up_to_date(engine, known))
    health.mark_started()
    await health.ready()
