"""Servers side by side, and the CPU that each request costs them.

Every row of a table is a server process of its own (uvicorn, uvloop, httptools) on one core; the load comes from the
others. Rounds are interleaved, so that a slow minute of the machine hits all rows alike. CPU is what the process itself
accounts for, user and system: on shared machines it is far steadier than throughput. Log lines go to a file, spans to a
collector that takes them and answers 200.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
CONNECTIONS = 16
LONGEST_START_SECONDS = 60
Figures = dict[str, list[float]]


class Server:
    """One server process."""

    def __init__(self, stacks: str, row: str, collector: str, folder: Path, env: Mapping[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, str(HERE / "serve.py"), stacks, row, str(self.port), collector]
        self._log = (folder / f"{self.port}.log").open("wb")
        self.began = time.monotonic()
        self._process = subprocess.Popen(command, env=env, stdout=self._log, stderr=subprocess.PIPE)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return when the server accepts connections."""
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(self._process.stderr.read().decode() if self._process.stderr else "") from None
                time.sleep(0.005)
            else:
                return

    def cpu_seconds(self) -> float:
        """Ask the process for the CPU time it has used."""
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGUSR1)
        return float(self._process.stderr.readline())

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@contextmanager
def servers(stacks: str, rows: Sequence[str], env: Mapping[str, str]) -> Iterator[dict[str, Server]]:
    """Yield one running server per row of `stacks`, each sending its spans to one collector."""
    with tempfile.TemporaryDirectory() as folder, collector() as endpoint:
        running: dict[str, Server] = {}
        try:
            for row in rows:
                running[row] = Server(stacks, row, endpoint, Path(folder), env)
            leave_first_core()  # after the servers have started: they inherit the cores of this process
            for server in running.values():
                server.wait_until_ready()
            yield running
        finally:
            for server in running.values():
                server.stop()


def measure(running: Mapping[str, Server], request: bytes, *, rounds: int, requests: int, seconds: float) -> Figures:
    """Return CPU microseconds per request: one figure per round for each row."""
    rows = list(running)
    figures: Figures = {row: [] for row in rows}
    begun = time.monotonic()
    for server in running.values():
        load(server.port, request, requests // 2)  # warm: caches, connection pools, the adaptive interpreter
    for done in range(rounds):
        if time.monotonic() - begun > seconds:
            print(f"stopped after {done} rounds: {seconds:g} s are over", file=sys.stderr)
            break
        for row in rows[done % len(rows) :] + rows[: done % len(rows)]:
            before = running[row].cpu_seconds()
            load(running[row].port, request, requests)
            figures[row].append((running[row].cpu_seconds() - before) / requests * 1e6)
    return figures


def table(figures: Figures, targets: Mapping[str, float]) -> list[dict[str, object]]:
    """Print medians with their ratio to the first row, round by round, and return the same as data."""
    base = next(iter(figures.values()))
    rows: list[dict[str, object]] = []
    print(f"{'stack':34} {'CPU us/request':>15} {'ratio':>7} {'spread':>13}   target")
    for row, values in figures.items():
        ratios = sorted(value / other for value, other in zip(values, base, strict=True))
        ratio, microseconds = statistics.median(ratios), statistics.median(values)
        wanted = f"   at most {targets[row]:.2f}" if row in targets else ""
        print(f"{row:34} {microseconds:15.1f} {ratio:7.2f} {ratios[0]:6.2f}-{ratios[-1]:.2f}{wanted}")
        rows.append({"stack": row, "cpu_us": round(microseconds, 1), "ratio": round(ratio, 3), "ratios": ratios})
    return rows


def load(port: int, request: bytes, requests: int) -> None:
    """Send `requests` over a few keep-alive connections and check that each is answered with success."""
    asyncio.run(_load(port, request, requests))


async def _load(port: int, request: bytes, requests: int) -> None:
    share, rest = divmod(requests, CONNECTIONS)
    async with asyncio.TaskGroup() as tasks:
        for number in range(CONNECTIONS):
            tasks.create_task(_converse(port, request, share + (number < rest)))


async def _converse(port: int, request: bytes, requests: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(requests):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"unexpected answer: {head!r}")
        length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


@contextmanager
def collector() -> Iterator[str]:
    """Yield the address of something that takes spans and throws them away."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    server.shutdown()


class _Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def proportional_set_size(pid: int) -> float:
    """Return the megabytes that a process holds, what it shares counted in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not say how much memory a process holds")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leave_first_core() -> None:
    """Leave the first core to the servers; where that is impossible, say so."""
    if not hasattr(os, "sched_setaffinity"):
        print("this system cannot pin processes: expect noise", file=sys.stderr)
        return
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        os.sched_setaffinity(0, cores - {min(cores)})


def save(name: str, document: object) -> None:
    """Write what was measured to `results/NAME.json`."""
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
