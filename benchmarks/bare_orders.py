"""Orders alone: the service's route, database and payment provider, without a layer and without telemetry.

What others add to it comes in as arguments, so that a bare process imports nothing else.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import context
from app.kit.clock import SystemClock
from app.kit.db import DatabaseSettings, create_engine
from app.orders.payments import HttpPaymentProvider, PaymentSettings
from app.orders.routes import router
from app.orders.service import Orders, OrderSettings
from app.patterns.authentication import Principal
from app.patterns.authentication.layer import SCOPE_KEY
from app.patterns.idempotency import Idempotency, IdempotencySettings
from app.patterns.outbox import Notifier

_CALLER = Principal(actor="bench", tenant="bench", scopes=frozenset({"orders:read", "orders:write"}))


class KnownCaller:
    """ASGI layer: stands where authentication stands; the caller is known beforehand."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say who is asking, and pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[SCOPE_KEY] = _CALLER
        work = context.current()
        work.tenant, work.actor = _CALLER.tenant, _CALLER.actor
        with context.bind(work):
            await self._app(scope, receive, send)


def bare(
    middleware: Sequence[Middleware] = (Middleware(KnownCaller),),
    *,
    client: Callable[[], httpx.AsyncClient] = httpx.AsyncClient,
    engine: Callable[..., AsyncEngine] = create_engine,
) -> ASGIApp:
    """Return the application; `client` makes what calls the payment provider."""
    database = DatabaseSettings.model_validate({"url": os.environ["APP_DATABASE__URL"]})
    payments = PaymentSettings.model_validate({"url": os.environ["APP_PAYMENTS__URL"]})

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = engine(database, application_name="bench")
        async with client() as http_client, Notifier(opened):
            provider = HttpPaymentProvider(http_client, payments)
            app.state.orders = Orders(opened, provider, SystemClock(), OrderSettings())
            yield
        await opened.dispose()

    app = FastAPI(lifespan=lifespan, middleware=middleware)
    app.state.idempotency = Idempotency(IdempotencySettings(), SystemClock(), route_of=lambda _scope: "/v1/orders")
    v1 = APIRouter(prefix="/v1")
    v1.include_router(router)
    app.include_router(v1)
    return app
