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


def service(ratio: float, collector: str) -> ASGIApp:
    """Return the HTTP process as it is."""
    from app import main  # noqa: PLC0415
    from app.patterns.health import Health  # noqa: PLC0415
    from app.patterns.tracing import TracingSettings  # noqa: PLC0415
    from app.settings import load  # noqa: PLC0415

    return main.create_app(load(tracing=TracingSettings(ratio=ratio, otlp_endpoint=collector)), Health())


STACKS: dict[str, Callable[[str], ASGIApp]] = {
    "the orders alone": bare,
    "the service, 0 % sampled": partial(service, 0),
    "the service, 1 % sampled": partial(service, 0.01),
    "the service, 10 % sampled": partial(service, 0.1),
    "the service, 100 % sampled": partial(service, 1),
}
TARGETS = {"the service, 10 % sampled": 1.35}
