"""PostgreSQL and NATS for a whole test run, shared by all xdist workers, and gone when the run is gone.

The process started here detaches, and lives as long as the run's controller holds a file lock. The operating system
drops that lock however the controller ends, so Ctrl-C and `kill -9` leave nothing behind either.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.environment import ROOT
from dev.nats import Nats
from dev.postgres import PostgreSQL
from dev.process import StartFailed

_ACCOUNTS = ("master", *(f"gw{number}" for number in range(64)))  # the names of xdist's workers


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path` until the block ends; waits for whoever holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_started(run: Path) -> int:
    """Start the servers of this run unless another worker has; return the broker's port."""
    ready = run / "servers.json"
    with locked(run / "start.lock"):
        if not ready.exists():
            argv = [sys.executable, "-m", "tests.support.shared_servers", str(run)]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StartFailed(done.stderr.strip())
    port: int = json.loads(ready.read_text())["nats_port"]
    return port


def wait_until_stopped(run: Path) -> None:
    """Return when the servers are gone, and their data with them; the controller's lock must have been dropped."""
    if (run / "servers.json").exists():
        with locked(run / "servers.lock"):
            pass
    shutil.rmtree(run, ignore_errors=True)


def postgres_of(run: Path) -> PostgreSQL:
    """Return a handle on the run's PostgreSQL."""
    return PostgreSQL(run / "postgres", durable=False)


def _main(run: Path) -> None:
    """Start the servers in a child that nobody waits for; end when they are ready, with the reason if they are not."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as report:
            sys.exit(report.read() or 0)
    os.close(reader)
    os.setsid()
    log = os.open(run / "servers.log", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    _serve(run, writer)


def _serve(run: Path, writer: int) -> None:
    postgres, nats = postgres_of(run), Nats(run / "nats", accounts=_ACCOUNTS)
    with locked(run / "servers.lock"):
        try:
            with os.fdopen(writer, "w") as report:
                try:
                    postgres.start()
                    nats.start()
                except StartFailed as exc:
                    report.write(str(exc))
                    return
                pids = [postgres.process.pid, nats.process.pid]
                (run / "servers.json").write_text(json.dumps({"nats_port": nats.port, "pids": pids}))
            with locked(run / "controller.lock"):  # granted when the controller is gone
                pass
        finally:
            nats.stop()
            postgres.stop()
    shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
