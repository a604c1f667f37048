"""`make up`: the whole system on one machine, with live reload, until Ctrl-C.

PostgreSQL, NATS, a token issuer and a payment provider, then the migrations, then the service: HTTP, worker and probe.
What is stored lives in `.dev/` and survives; delete the folder to begin anew.
"""

import argparse
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.console import Console
from dev.environment import ROOT
from dev.process import StartFailed
from dev.stack import Stack

PORTS = {  # name: default, variable
    "http": (8000, "APP_HTTP__PORT"),
    "worker": (8001, "APP_WORKER__PORT"),
    "probe": (8004, "APP_PROBE__PORT"),
    "nats": (4222, "DEV_NATS_PORT"),
    "payments": (8002, "DEV_PAYMENTS_PORT"),
    "issuer": (8003, "DEV_ISSUER_PORT"),
}


def main() -> None:
    """Run until Ctrl-C; a failure is one line on standard error and exit status 1."""
    arguments = _arguments()
    ports: dict[str, int] = {name: getattr(arguments, name) for name in PORTS}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a shell's `&` starts us deaf to it
        signal.signal(number, signal.default_int_handler)
    try:
        with _alone(arguments.data):
            _require_free(ports)
            console = Console()
            stack = Stack(arguments.data, ports, console)
            try:
                stack.start()
                console.show(stack.banner())
                stack.watch()
            finally:
                stack.stop()
    except StartFailed as exc:
        sys.exit(f"up: {exc}")
    except KeyboardInterrupt:
        pass


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StartFailed(f"`make up` is already running on {data}. Stop it first, or use its service.") from exc
        yield


def _require_free(ports: dict[str, int]) -> None:
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as exc:
                advice = f"Stop what uses it, or set {PORTS[name][1]} to another port."
                raise StartFailed(f"port {port}, for {name}, is taken. {advice}") from exc


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="up", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / ".dev", help="where everything is stored; default .dev")
    for name, (default, variable) in PORTS.items():
        port = os.environ.get(variable, default)
        parser.add_argument(
            f"--{name}-port", dest=name, type=int, default=port, help=f"default {default}, or {variable}"
        )
    return parser.parse_args()


if __name__ == "__main__":
    main()
