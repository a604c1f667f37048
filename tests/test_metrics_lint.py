"""The metrics of a started service pass Prometheus's own linter."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROCESSES = ("APP_WORKER__PORT", "APP_PROBE__PORT", "APP_HTTP__PORT")
PORTS = (*PROCESSES, "DEV_NATS_PORT", "DEV_PAYMENTS_PORT", "DEV_ISSUER_PORT")
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.xdist_group("service")


@pytest.fixture
def promtool(equipped: Path, unproven: Callable[[str, str], None]) -> str | None:
    """Path of promtool, as the service's own tests find it; without it the proof is noted as missing."""
    find = "from dev.ops.tools import find; print(find('promtool'))"
    found = subprocess.run(
        [equipped / ".venv" / "bin" / "python", "-c", find], cwd=equipped, capture_output=True, text=True, check=False
    )
    if found.returncode:
        unproven("promtool checks the metrics", "install Debian's package `prometheus`")
        return None
    return found.stdout.strip()


@pytest.fixture(scope="module")
def metrics(equipped: Path) -> Iterator[dict[str, bytes]]:
    """Yield what all processes of a service expose after `make up` and one request, by the names of their ports."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    for probe in probes:
        probe.close()
    env = {**os.environ, **{name: str(port) for name, port in ports.items()}}
    system = subprocess.Popen(
        [equipped / ".venv" / "bin" / "python", "-m", "dev.up"], cwd=equipped, env=env, stdout=subprocess.DEVNULL
    )
    try:
        for name in PROCESSES:
            _answer(ports[name], "/readyz", system)
        _answer(ports["APP_HTTP__PORT"], "/openapi.json", system)
        yield {name: _answer(ports[name], "/metrics", system) for name in PROCESSES}
    finally:
        system.terminate()
        system.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("process", PROCESSES)
def test_promtool_finds_nothing(promtool: str | None, request: pytest.FixtureRequest, process: str) -> None:
    """Names, units and help texts of each process are as Prometheus wants them."""
    if promtool is None:
        return
    exposed: bytes = request.getfixturevalue("metrics")[process]

    assert _check(promtool, exposed) == (0, b"")
    assert b"event_loop_lag_seconds_count" in exposed


def test_promtool_would_find_something(promtool: str | None) -> None:
    """The linter that finds nothing in ours does find a name that breaks the rules."""
    if promtool is None:
        return

    code, complaints = _check(promtool, b"# HELP orders_count Orders.\n# TYPE orders_count gauge\norders_count 1\n")

    assert code != 0
    assert b"orders_count" in complaints


def _check(promtool: str, exposed: bytes) -> tuple[int, bytes]:
    result = subprocess.run([promtool, "check", "metrics"], input=exposed, capture_output=True, check=False)
    return result.returncode, result.stdout + result.stderr


def _answer(port: int, path: str, system: subprocess.Popen[bytes]) -> bytes:
    """Return the body of the first 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and system.poll() is None:
        try:
            with direct.open(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                body: bytes = response.read()
                return body
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"no answer from {path}; the system's exit status: {system.poll()}")
