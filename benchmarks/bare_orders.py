"""Orders alone: the service's route, database and payment provider, without a layer and without telemetry."""

import contextlib
from collections.abc import AsyncIterator

import httpx
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import context
from app.kit.clock import SystemClock
from app.kit.db import create_engine
from app.orders.payments import HttpPaymentProvider
from app.orders.routes import router
from app.orders.service import Orders
from app.patterns.authentication import Principal
from app.patterns.authentication.layer import SCOPE_KEY
from app.patterns.outbox import Notifier
from app.settings import load

_CALLER = Principal(actor="bench", tenant="bench", scopes=frozenset({"orders:read", "orders:write"}))


def bare() -> ASGIApp:
    """Return the application; its caller is known beforehand."""
    settings = load()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings.database, application_name="bench")
        async with httpx.AsyncClient() as client, Notifier(engine):
            provider = HttpPaymentProvider(client, settings.payments)
            app.state.orders = Orders(engine, provider, SystemClock(), settings.orders)
            yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan, telemetry={"tracing": False, "metrics": False, "logs": False})
    v1 = APIRouter(prefix="/v1")
    v1.include_router(router)
    app.include_router(v1)

    async def known_caller(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = _CALLER
        with context.bind(context.Context(tenant="bench", actor="bench")):
            await app(scope, receive, send)

    return known_caller
