"""The stacks that are compared on POST /v1/orders: the same route, service, database and provider underneath.

Settings come from the environment, as in the service. Each row imports what it needs and no more.
"""

from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp


def bare(_collector: str) -> ASGIApp:
    """Return the orders alone."""
    import bare_orders  # noqa: PLC0415

    return bare_orders.bare()


def layered(names: tuple[str, ...], collector: str) -> ASGIApp:
    """Return the orders with some of the layers around them."""
    import bare_orders  # noqa: PLC0415
    import get_stacks  # noqa: PLC0415
    from starlette.middleware import Middleware  # noqa: PLC0415

    return bare_orders.bare([*get_stacks.layers(names, 0, collector), Middleware(bare_orders.KnownCaller)])


def authenticated(_collector: str) -> ASGIApp:
    """Return the orders behind the check of a token, and the request id, whose context holds what the token says."""
    import bare_orders  # noqa: PLC0415
    import httpx  # noqa: PLC0415
    from starlette.middleware import Middleware  # noqa: PLC0415

    from app.kit.clock import SystemClock  # noqa: PLC0415
    from app.patterns.authentication import Authentication, TokenVerifier  # noqa: PLC0415
    from app.patterns.request_id import RequestId  # noqa: PLC0415
    from app.settings import load  # noqa: PLC0415

    verifier = TokenVerifier(load().authentication, httpx.AsyncClient(), SystemClock())
    return bare_orders.bare([Middleware(RequestId), Middleware(Authentication, verifier=verifier)])


def measured(what: str, collector: str) -> ASGIApp:
    """Return the orders with telemetry of one of the things that they call; no span, since no request is one."""
    import bare_orders  # noqa: PLC0415
    import get_stacks  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415
    from starlette.middleware import Middleware  # noqa: PLC0415

    from app.kit.db import Base, DatabaseSettings, create_engine  # noqa: PLC0415
    from app.patterns import database_telemetry, tracing  # noqa: PLC0415
    from app.patterns.outbound_telemetry import MeasuredClient  # noqa: PLC0415

    provider = tracing.configure(tracing.TracingSettings(ratio=0, otlp_endpoint=collector), **get_stacks.IDENTITY)
    caller = [Middleware(bare_orders.KnownCaller)]
    if what == "outbound":
        return bare_orders.bare(caller, client=partial(MeasuredClient, known_hosts=["127.0.0.1"], provider=provider))

    def engine(settings: DatabaseSettings, *, application_name: str) -> AsyncEngine:
        made = create_engine(settings, application_name=application_name, poolclass=database_telemetry.MeasuredPool)
        database_telemetry.instrument(made, pool="bench", tables=Base.metadata.tables, provider=provider)
        return made

    return bare_orders.bare(caller, engine=engine)


def service(ratio: float, collector: str) -> ASGIApp:
    """Return the HTTP process as it is."""
    from app import main  # noqa: PLC0415
    from app.patterns.health import Health  # noqa: PLC0415
    from app.patterns.tracing import TracingSettings  # noqa: PLC0415
    from app.settings import load  # noqa: PLC0415

    return main.create_app(load(tracing=TracingSettings(ratio=ratio, otlp_endpoint=collector)), Health())


STACKS: dict[str, Callable[[str], ASGIApp]] = {
    "the orders alone": bare,
    "request id": partial(layered, ("request id",)),
    "spans, 0 % sampled": partial(layered, ("spans",)),
    "metrics": partial(layered, ("metrics",)),
    "access log": partial(layered, ("access log",)),
    "probes, problems, body limit": partial(layered, ("probes", "problems", "body limit")),
    "request id, authentication": authenticated,
    "outbound telemetry": partial(measured, "outbound"),
    "database telemetry": partial(measured, "database"),
    "the service, 0 % sampled": partial(service, 0),
    "the service, 1 % sampled": partial(service, 0.01),
    "the service, 10 % sampled": partial(service, 0.1),
    "the service, 100 % sampled": partial(service, 1),
}
TARGETS = {"the service, 10 % sampled": 1.35}
