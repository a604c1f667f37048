"""`make up` as a developer meets it: one real run of everything, and each way in which it can fail to start."""

import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dev.environment import ROOT
from dev.ports import free_port
from tests.conftest import StartProcess
from tests.support.eventually import eventually
from tests.support.service_process import ServiceProcess

NAMES = ("http", "worker", "probe", "nats", "payments", "issuer")
Run = Callable[..., ServiceProcess]


@pytest.fixture
def ports() -> dict[str, int]:
    """Return a free port for each part."""
    return {name: free_port() for name in NAMES}


@pytest.fixture
def data() -> Iterator[Path]:
    """Yield a folder outside `tmp_path`, whose parents pytest closes to all but their owner."""
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        yield Path(folder)


@pytest.fixture
def up(data: Path, start_process: StartProcess, ports: dict[str, int]) -> Run:
    """Return a function that starts the supervisor on this test's own data and ports."""
    options = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]

    def run(**env: str) -> ServiceProcess:
        argv = (sys.executable, "-m", "dev.up", "--data", str(data), *options)
        return start_process("up", *argv, env=env)

    return run


def token_of(run: ServiceProcess) -> str | None:
    """Return the token in the banner, once it is there."""
    return next((found[1] for line in run.lines if (found := re.search(r"export TOKEN=(\S+)", line))), None)


def listening(ports: dict[str, int]) -> list[str]:
    """Return the parts whose port is taken."""
    taken = []
    for name, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                taken.append(name)
    return taken


async def started(run: ServiceProcess) -> str:
    """Wait for the banner, and return its token."""
    await eventually(lambda: token_of(run) or not run.process.running, within_seconds=60)
    token = token_of(run)
    assert token is not None, "\n".join(run.lines)
    return token


async def test_order_survives_a_restart(up: Run, ports: dict[str, int], data: Path) -> None:
    """The token of the banner places an order; Ctrl-C ends everything cleanly; the next run still has the order."""
    url = f"http://127.0.0.1:{ports['http']}/v1/orders"
    body = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]}
    first = up()
    token = {"Authorization": f"Bearer {await started(first)}"}
    async with httpx.AsyncClient(headers=token) as client:
        placed = await client.post(url, json=body)
    assert placed.status_code == 201

    first.process.send(signal.SIGINT)
    assert first.process.wait(timeout_seconds=30) == 0
    assert listening(ports) == []
    assert not (data / "postgres" / "postmaster.pid").exists()

    second = up()
    await started(second)
    async with httpx.AsyncClient(headers=token) as client:
        again = await client.get(f"{url}/{placed.json()['id']}")
    assert (again.status_code, again.json()["state"]) == (200, "placed")


async def test_change_in_the_source_restarts_the_service(up: Run, ports: dict[str, int]) -> None:
    """A saved file restarts both processes, and the service answers again."""
    run = up()
    await started(run)

    def touched_and_noticed() -> bool:
        os.utime(ROOT / "src" / "app" / "main.py")
        return any("src/app/main.py changed: restarting" in line for line in run.lines)

    # Again and again: the watcher may begin a moment after the banner.
    await eventually(touched_and_noticed, within_seconds=30, every_seconds=2)
    await eventually(lambda: sum("server.listening" in line for line in run.lines) >= 4, within_seconds=30)
    await run.wait_until_ready(f"http://127.0.0.1:{ports['http']}/readyz")
    assert run.process.running


async def test_the_probe_tries_the_service(up: Run, ports: dict[str, int], data: Path) -> None:
    """It succeeds, with a secret that only the owner can read; the banner says where it tells so."""
    run = up()
    await started(run)
    address = f"http://127.0.0.1:{ports['probe']}/metrics"

    async def succeeded() -> bool:
        async with httpx.AsyncClient() as client:
            return 'synthetic_journey_success{journey="order"} 1.0' in (await client.get(address)).text

    assert await eventually(succeeded, within_seconds=60)
    assert oct((data / "probe_secret").stat().st_mode & 0o777) == "0o600"
    assert any(f"probe: {address}" in line for line in run.lines)


async def test_killed_supervisor_leaves_nothing(up: Run, ports: dict[str, int], data: Path) -> None:
    """When the supervisor is killed with SIGKILL, everything that it started ends all the same."""
    run = up()
    await started(run)
    assert listening(ports) == list(NAMES)

    run.kill()

    await eventually(lambda: listening(ports) == [], within_seconds=20)
    await eventually(lambda: not (data / "postgres" / "postmaster.pid").exists(), within_seconds=20)


async def test_second_run_on_the_same_data_is_refused(up: Run) -> None:
    """Only one run may own the data; the other says so and touches nothing."""
    await started(up())

    second = up()

    assert second.process.wait(timeout_seconds=20) == 1
    assert len(second.lines) == 1
    assert re.fullmatch(
        r"up: `make up` is already running on \S+\. Stop it first, or use its service\.", second.lines[0]
    )


@pytest.mark.parametrize("name", NAMES)
def test_taken_port_is_one_line(up: Run, ports: dict[str, int], name: str) -> None:
    """A taken port is named together with the variable that chooses another; nothing was started."""
    with socket.create_server(("127.0.0.1", ports[name])):
        run = up()

        assert run.process.wait(timeout_seconds=20) == 1

    assert len(run.lines) == 1
    assert re.fullmatch(rf"up: port {ports[name]}, for {name}, is taken\. .*_PORT to another port\.", run.lines[0])


def test_failed_migration_stops_everything(up: Run, ports: dict[str, int], data: Path) -> None:
    """A migration that cannot run ends with one line that says why, and with every server stopped."""
    run = up(APP_MIGRATIONS__FOLDER=str(data / "nowhere"))

    assert run.process.wait(timeout_seconds=30) == 1

    assert re.fullmatch(r"up: the migration failed: .*no migrations in .*nowhere.*", run.lines[-1])
    assert listening(ports) == []
    assert not (data / "postgres" / "postmaster.pid").exists()
