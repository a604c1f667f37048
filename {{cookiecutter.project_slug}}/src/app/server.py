"""One HTTP server on one socket, that drains before it stops."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from app.patterns.health import Health
from app.settings import ServerSettings

_log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The port is taken, or the address is not ours. The message says which and what to do."""


class CannotStart(Exception):
    """The application failed while it opened its resources; the log says why."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until(stop: asyncio.Event, app: ASGIApp, settings: ServerSettings, health: Health) -> None:
    """Serve `app` until `stop` is set, then drain: look unready, then stop accepting, then finish what is in hand.

    Raises:
        CannotListen: the port is taken.
        CannotStart: the application did not start.
    """
    listener = _bind(settings)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,  # structured_logging has taken over the standard library's loggers
            access_log=False,  # the canonical line replaces it
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )
    _spare_the_collector()
    _log.info("server.listening", host=settings.host, port=listener.getsockname()[1])
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http-server")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        health.start_draining()
        _log.info("server.draining", seconds=settings.drain_seconds)
        await asyncio.sleep(settings.drain_seconds)
        server.should_exit = True
    stopping.cancel()
    await serving
    if not server.started:
        raise CannotStart("the application did not start, see the log above")


def _spare_the_collector() -> None:
    """Leave what was imported out of garbage collection: it lives as long as the process, and walking it takes long."""
    gc.collect()
    gc.freeze()


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as exc:
        listener.close()
        raise CannotListen(
            f"cannot listen on {settings.host}:{settings.port}: {exc.strerror or exc}. "
            "Stop what listens there, or set APP_HTTP__PORT, APP_WORKER__PORT or APP_PROBE__PORT to another port."
        ) from exc
    return listener
