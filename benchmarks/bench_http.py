"""What observability costs: CPU per request of the service's layers against bare FastAPI.

    python benchmarks/bench_http.py '{{cookiecutter.project_slug}}/src'

Every row is a server process of its own (uvicorn, uvloop, httptools) on one core; the load comes from here, on another.
Rounds are interleaved, so that a slow minute of the machine hits all rows. CPU is what the process itself accounts for,
user and system: on shared machines it is far steadier than throughput. Log lines go to a file, spans to a collector
that takes them and answers 200.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
ROWS = (
    "bare FastAPI", "+ request id", "+ metrics", "+ access log",
    "full, 0 % sampled", "full, 1 % sampled", "full, 10 % sampled", "full, 100 % sampled",
)  # fmt: skip
TARGET_ROW, TARGET_RATIO = "full, 10 % sampled", 1.6
CONNECTIONS = 16
REQUEST = b"GET /v1/things/7 HTTP/1.1\r\nhost: bench\r\nuser-agent: bench\r\naccept: */*\r\n\r\n"


def main() -> None:
    """Run, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder that holds the package `app`")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1500, help="per row and round")
    parser.add_argument("--seconds", type=float, default=100, help="no new round begins after this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    report(figures)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Return CPU microseconds per request: one figure per round for each row."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    servers: dict[str, Server] = {}
    figures: dict[str, list[float]] = {row: [] for row in ROWS}
    begun = time.monotonic()
    try:
        for row in ROWS:
            servers[row] = Server(row, arguments.source, endpoint, folder)
        leave_first_core()  # after the servers have started: they inherit the cores of this process
        for server in servers.values():
            server.wait_until_ready()
            load(server.port, arguments.requests // 3)  # warm: caches, adaptive interpreter
        for done in range(arguments.rounds):
            if time.monotonic() - begun > arguments.seconds:
                print(f"stopped after {done} rounds: {arguments.seconds:g} s are over", file=sys.stderr)
                break
            for row in ROWS[done % len(ROWS) :] + ROWS[: done % len(ROWS)]:
                before = servers[row].cpu_seconds()
                load(servers[row].port, arguments.requests)
                spent = servers[row].cpu_seconds() - before
                figures[row].append(spent / arguments.requests * 1e6)
    finally:
        for server in servers.values():
            server.stop()
        collector.shutdown()
    return figures


def report(figures: dict[str, list[float]]) -> None:
    """Print medians with their ratio to bare FastAPI, round by round, and write the same as JSON."""
    bare = figures[ROWS[0]]
    rows = []
    print(f"{'stack':22} {'CPU us/request':>15} {'ratio':>7} {'spread':>13}")
    for row, values in figures.items():
        ratios = sorted(value / base for value, base in zip(values, bare, strict=True))
        ratio = statistics.median(ratios)
        microseconds = statistics.median(values)
        print(f"{row:22} {microseconds:15.1f} {ratio:7.2f} {ratios[0]:6.2f}-{ratios[-1]:.2f}")
        rows.append({"stack": row, "cpu_us": round(microseconds, 1), "ratio": round(ratio, 3), "ratios": ratios})
    reached = next(row["ratio"] for row in rows if row["stack"] == TARGET_ROW)
    print(f"\ntarget: {TARGET_ROW} at most {TARGET_RATIO}x bare; measured {reached:.2f}x")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    document = {"python": platform.python_version(), "rounds": len(bare), "target": TARGET_RATIO, "rows": rows}
    (results / "http.json").write_text(json.dumps(document, indent=2) + "\n")


class Server:
    """One server process."""

    def __init__(self, row: str, source: Path, endpoint: str, folder: Path) -> None:
        self.port = free_port()
        path = os.pathsep.join([str(source.resolve()), str(HERE)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(HERE / "serve.py"), row, str(self.port), endpoint]
        self._log = (folder / f"{self.port}.log").open("wb")
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=subprocess.PIPE)

    def wait_until_ready(self) -> None:
        """Return when the server accepts connections."""
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(self._process.stderr.read().decode() if self._process.stderr else "") from None
                time.sleep(0.05)
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


class Collector(BaseHTTPRequestHandler):
    """Takes spans and throws them away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def load(port: int, requests: int) -> None:
    """Send `requests` over a few keep-alive connections and check that each is answered with 200."""
    asyncio.run(_load(port, requests))


async def _load(port: int, requests: int) -> None:
    share, rest = divmod(requests, CONNECTIONS)
    async with asyncio.TaskGroup() as tasks:
        for number in range(CONNECTIONS):
            tasks.create_task(_converse(port, share + (number < rest)))


async def _converse(port: int, requests: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(requests):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"unexpected answer: {head!r}")
        length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


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
    else:
        print("one core only: server and load share it", file=sys.stderr)


if __name__ == "__main__":
    main()
