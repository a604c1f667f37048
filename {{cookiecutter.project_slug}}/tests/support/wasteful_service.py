"""The service with a change that nobody should make: `wasteful_service line serve`, or `label` in place of `line`."""

import sys

import structlog
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app import cli
from app import main as http

_log = structlog.get_logger(__name__)


class OneMoreLine:
    """A line per request that says what another one says already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _log.info("wasteful.request_seen", path=scope["path"])
        await self._app(scope, receive, send)


class OneMoreLabel:
    """A counter whose label holds what the client has put into the address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._visits = Counter("wasteful_visits_total", "Visits.", ["path"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._visits.labels(scope["path"]).inc()
        await self._app(scope, receive, send)


def main() -> None:
    """Run the command of the service, with the change."""
    waste = {"line": OneMoreLine, "label": OneMoreLabel}[sys.argv.pop(1)]
    create_app = http.create_app
    setattr(http, "create_app", lambda settings, health: waste(create_app(settings, health)))  # noqa: B010 - types differ
    cli.main()


if __name__ == "__main__":
    main()
