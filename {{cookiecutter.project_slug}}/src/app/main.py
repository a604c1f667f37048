"""The HTTP process, put together. This is the table of contents: one line per pattern, in order, with the reason.

Lines marked `domain` belong to one domain: a second one gets its own beside them, see docs/adding-a-domain.md.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from app.kit.asgi import LayeredApp, RouteTemplates
from app.kit.clock import SystemClock
from app.kit.problems import Problems
from app.orders.errors import PaymentRefused  # domain: orders
from app.orders.routes import router as orders_router  # domain: orders
from app.patterns import tracing
from app.patterns.authentication import Authentication, TokenVerifier, Unauthenticated
from app.patterns.body_limit import BodyLimit, BodyTooLarge
from app.patterns.health import Health, HealthProbes
from app.patterns.idempotency import Idempotency, IdempotencyKeyInvalid, described
from app.patterns.metrics import MetricsEndpoint, RedMetrics
from app.patterns.outbound_telemetry import MeasuredClient
from app.patterns.read_replicas import ReadYourWrites
from app.patterns.request_id import RequestId
from app.patterns.structured_logging import AccessLog
from app.patterns.tracing import RequestSpans
from app.resources import configure_telemetry, open_resources, start_health
from app.settings import Settings

STATUSES = {  # errors whose HTTP status is more than their category
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    PaymentRefused: HTTPStatus.PAYMENT_REQUIRED,  # domain: orders
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    IdempotencyKeyInvalid: HTTPStatus.BAD_REQUEST,
}
OWN_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # the patterns below do it


def create_app(settings: Settings, health: Health) -> FastAPI:
    """Return the ASGI application; it opens its connections when the server starts it."""
    provider = configure_telemetry(settings)
    keys_host = httpx.URL(settings.authentication.jwks_url).host
    keys_client = MeasuredClient(known_hosts=[keys_host], provider=provider)
    verifier = TokenVerifier(settings.authentication, client=keys_client, clock=SystemClock())
    route_of = RouteTemplates()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with keys_client, open_resources(settings, provider, role="http") as resources:
            app.state.reads = resources.reads
            app.state.orders = resources.orders  # domain: orders
            await start_health(health, settings, resources.engine)
            yield
        tracing.shut_down(provider)

    app = LayeredApp(
        title=settings.service,
        version=settings.version,
        description=described(settings.idempotency),
        lifespan=lifespan,
        telemetry=OWN_TELEMETRY,
        middleware=[  # outside in: a request passes them from top to bottom, its answer from bottom to top
            Middleware(HealthProbes, health=health),  # first: answers even when everything below is busy
            Middleware(MetricsEndpoint),  # before anything that would count or log the scrape itself
            Middleware(RequestId),  # before whatever writes the id down
            # Outside whatever takes time, so that all of it is in the span; inside, log lines know the trace.
            Middleware(RequestSpans, tracer_provider=provider, ratio=settings.tracing.ratio, route_of=route_of),
            Middleware(RedMetrics, route_of=route_of),  # outside whatever refuses, so that refusals are counted
            Middleware(AccessLog, route_of=route_of),  # same, for the log line
            Middleware(Problems, statuses=STATUSES),  # inside the two above: they see the final status
            Middleware(BodyLimit, max_bytes=settings.http.max_body_bytes),  # before anybody reads the body
            Middleware(Authentication, verifier=verifier),  # from here on the tenant is known
            # Last: what it asks of the database is asked for that tenant, and before the answer begins.
            *([Middleware(ReadYourWrites)] if settings.replicas.urls else []),
        ],
    )
    app.state.idempotency = Idempotency(settings.idempotency, SystemClock(), route_of=route_of)
    v1 = APIRouter(prefix="/v1")
    v1.include_router(orders_router)  # domain: orders
    app.include_router(v1)
    return app
