"""What a service in containers needs around it: run in a service's folder, by its Python.

Prints one line of JSON: the variables of the service's processes, and a token. Ends with its input.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from dev.environment import Addresses, variables
from dev.installation import Installation
from dev.ports import free_port
from dev.prove.balancer import one_way

_DATABASE = "contained"


async def main() -> None:
    """Start everything, say where it is, and stop when nobody writes to this process any more."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Installation(Path(folder), database="unused")
        try:
            await servers.start()
            servers.postgres.create_database(_DATABASE)
            socket = f"{servers.postgres.url().partition('host=')[2].replace('%2F', '/')}/.s.PGSQL.5432"
            # Containers have another user than the one that may use the socket.
            passed_on = await asyncio.start_server(
                lambda reader, writer: _both_ways(reader, writer, socket), "127.0.0.1", free_port()
            )
            port = passed_on.sockets[0].getsockname()[1]
            addresses = Addresses(
                database_url=f"postgresql+asyncpg://postgres@127.0.0.1:{port}/{_DATABASE}",
                broker_url=servers.nats.url(),
                payments_url=f"http://127.0.0.1:{servers.payments_port}",
                jwks_url=f"http://127.0.0.1:{servers.issuer_port}/.well-known/jwks.json",
                http_port=free_port(),
                worker_port=free_port(),
            )
            said = {"variables": variables(addresses), "token": await servers.token()}
            sys.stdout.write(f"{json.dumps(said)}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
            passed_on.close()
        finally:
            servers.stop()


async def _both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket: str) -> None:
    behind, front = await asyncio.open_unix_connection(socket)
    await asyncio.gather(one_way(reader, front), one_way(behind, writer))


if __name__ == "__main__":
    asyncio.run(main())
