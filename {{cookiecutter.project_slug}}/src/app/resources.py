"""Opens what lives as long as the process, and closes it in reverse order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from opentelemetry.trace import TracerProvider
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import SystemClock
from app.kit.db import create_engine
from app.orders.payments import HttpPaymentProvider
from app.orders.service import Orders
from app.patterns import migrations, tracing
from app.patterns.health import Health
from app.patterns.request_id import add_request_id
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections, and what is built on them."""

    engine: AsyncEngine
    http_client: httpx.AsyncClient
    orders: Orders


@asynccontextmanager
async def open_resources(settings: Settings, provider: TracerProvider, *, role: str) -> AsyncIterator[Resources]:
    """Open everything lazily: a dependency that is down now does not keep the process from starting."""
    clock = SystemClock()
    engine = create_engine(settings.database, application_name=f"{settings.service}-{role}")
    http_client = httpx.AsyncClient(event_hooks={"request": [add_request_id]})
    tracing.instrument_client(http_client, provider)
    payments = HttpPaymentProvider(http_client, settings.payments)
    try:
        yield Resources(engine, http_client, Orders(engine, payments, clock, settings.orders))
    finally:
        await http_client.aclose()
        await engine.dispose()


def add_checks(health: Health, settings: Settings, engine: AsyncEngine) -> None:
    """Register what readiness asks: a database that answers, with the schema that this code was written for."""
    newest = migrations.head(settings.migrations)

    async def schema() -> None:
        version = await migrations.schema_version(engine, newest)
        if not version.up_to_date:
            raise RuntimeError(f"schema is at {version.current}, the code needs {version.head}: run `app migrate`")

    health.add_check("database", schema)
