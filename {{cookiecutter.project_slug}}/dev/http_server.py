"""How the development servers listen: uvicorn on the loopback address, quiet, as a process or as a thread."""

import argparse
import socket
import struct
import threading
from asyncio import Protocol, Transport
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, cast

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol


class ResettableProtocol(H11Protocol):
    """HTTP/1.1 whose connections the application can break, as a crashed peer or a firewall does."""

    _open: ClassVar[dict[tuple[str, int], Transport]] = {}

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn narrows it the same way
        """Remember the connection under the client's address, which is also in the request."""
        super().connection_made(transport)
        self._open[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._open.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)

    @classmethod
    def reset(cls, request: Request) -> None:
        """Send a TCP reset in place of an answer to `request`."""
        assert request.client is not None
        transport = cls._open[request.client.host, request.client.port]
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no FIN, a RST
        transport.abort()


def serve(app: ASGIApp, *, port: int, http: type[Protocol] | None = None) -> None:
    """Serve until told to stop. A taken port ends the process with uvicorn's own line."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        http=http or "auto",
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


@contextmanager
def serving(app: ASGIApp, *, port: int = 0, http: type[Protocol] | None = None) -> Iterator[str]:
    """Serve `app` on 127.0.0.1 until the block ends; yields the base URL. The socket listens from the start."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(app, log_config=None, http=http or "auto", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="serving")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def parser(description: str, *, port: int) -> argparse.ArgumentParser:
    """Return a command line that knows `--port`."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--port", type=int, default=port, help=f"default {port}")
    return arguments
