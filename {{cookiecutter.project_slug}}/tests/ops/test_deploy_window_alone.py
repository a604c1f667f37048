"""A deployment in its window, whatever Alertmanager does: it runs, it can be stopped, and its exit status comes out."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.deploy_window import main, silence
from dev.http_server import serving
from tests.support.deployment import Deployment

NOWHERE = "http://127.0.0.1:1"
SIGNALLED = """
import signal, sys
def told(number, _):
    print("told", number, flush=True)
    sys.exit(90 + number)
signal.signal(int(sys.argv[1]), told)
signal.alarm(120)  # nobody else ends it if its window is lost
print("ready", flush=True)
signal.pause()
"""
GOES_ON = "tickets are not silenced, and the deployment goes on"
TOKEN = "of-the-pipeline"
Deploy = Callable[..., Deployment]


def stand_in() -> Starlette:
    """Return what answers where Alertmanager should."""

    async def created(request: Request) -> Response:
        allowed = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        return JSONResponse({"silenceID": "one"}) if allowed else Response(status_code=401)

    async def strange(_: Request) -> Response:
        return Response("<html>")

    async def broken(_: Request) -> Response:
        return Response(status_code=500)

    return Starlette(
        routes=[
            Route("/api/v2/silences", created, methods=["POST"]),
            Route("/api/v2/silence/one", broken, methods=["GET", "DELETE"]),
            Route("/strange/api/v2/silences", strange, methods=["POST"]),
        ]
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Yield the address of what answers in this module."""
    with serving(stand_in()) as url:
        yield url


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Yield a function that starts a deployment."""
    started = []

    def start(url: str, *options: str, command: list[str] | None = None) -> Deployment:
        deployment = Deployment(tmp_path, url, "--service", "orders", *options, command=command or ())
        started.append(deployment)
        deployment.process.start()
        return deployment

    yield start
    for deployment in started:
        deployment.clear_away()


def warned(deployment: Deployment) -> list[str]:
    """Return what was said of the window."""
    return [line.removeprefix("deploy window: ") for line in deployment.lines if line.startswith("deploy window: ")]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param(["true"], 0, id="success"),
        pytest.param(["sh", "-c", "exit 3"], 3, id="failure"),
        pytest.param(["sh", "-c", "kill -TERM $$"], 143, id="killed"),
        pytest.param(["no-such-command"], 127, id="not found"),
    ],
)
def test_the_exit_status_is_that_of_the_command(deploy: Deploy, command: list[str], status: int) -> None:
    """As a shell would return it; that Alertmanager is away changes nothing, and is said."""
    deployment = deploy(NOWHERE, command=command)

    assert deployment.process.wait(timeout_seconds=60) == status
    assert warned(deployment)[0].startswith(f"{GOES_ON}: Alertmanager cannot be asked: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_reaches_the_command(deploy: Deploy, number: signal.Signals) -> None:
    """It decides what becomes of it, once: here it ends with a status of its own."""
    deployment = deploy(NOWHERE, command=[sys.executable, "-c", SIGNALLED, str(number.value)])
    assert deployment.process.wait_for_line("ready", timeout_seconds=60)

    deployment.process.send(number)

    assert deployment.process.wait(timeout_seconds=60) == 90 + number


def test_a_signal_reaches_what_the_command_has_started(deploy: Deploy) -> None:
    """A shell that is told to end would leave its children behind."""
    deployment = deploy(NOWHERE, command=["sh", "-c", '"$0" -c "$1" 15; true', sys.executable, SIGNALLED])
    assert deployment.process.wait_for_line("ready", timeout_seconds=60)

    deployment.process.send(signal.SIGTERM)

    assert deployment.process.wait_for_line("told 15", timeout_seconds=60)
    assert deployment.process.wait(timeout_seconds=60) == 128 + signal.SIGTERM


def test_a_hanging_alertmanager_does_not_hold_up_a_deployment(deploy: Deploy) -> None:
    """It is given up within a part of the lease."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        deployment = deploy(url, "--lease", "1s", command=["true"])

        assert deployment.process.wait(timeout_seconds=60) == 0
    assert warned(deployment) == [f"{GOES_ON}: Alertmanager did not answer in time"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("", "Alertmanager answered 401 Unauthorized", id="no token"),
        pytest.param("/strange", "what answered does not speak as Alertmanager does", id="a page for people"),
    ],
)
def test_a_deployment_goes_on_without_a_silence(deploy: Deploy, url: str, path: str, why: str) -> None:
    """It may be what repairs Alertmanager, or the way to it."""
    deployment = deploy(f"{url}{path}", command=["true"])

    assert deployment.process.wait(timeout_seconds=60) == 0
    assert warned(deployment) == [f"{GOES_ON}: {why}"]


def test_a_silence_that_cannot_be_kept_is_told(deploy: Deploy, url: str, tmp_path: Path) -> None:
    """Alertmanager fails after it has taken the silence: until when that lasts is said, and the deployment goes on."""
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")

    deployment = deploy(url, "--lease", "1s", "--token-file", str(token))

    assert deployment.process.wait_for_line("the silence could not be renewed, and ends at ", timeout_seconds=60)
    assert deployment.ends() == 0
    assert warned(deployment)[-1].startswith("the silence could not be ended, and lapses at ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["--lease", "31m", "--cap", "40m"], "nor than 30m", id="long after nobody works on it"),
        pytest.param(["--cap", "91m"], "the cap is no longer than 90m", id="too long"),
        pytest.param(["--lease", "10m", "--cap", "5m"], "a lease is no longer than the cap", id="longer than its cap"),
        pytest.param(["--lease", "5"], "--lease", id="no duration"),
        pytest.param(["--service", ".*"], "'.*' is no name of a service", id="every service"),
    ],
)
def test_a_window_that_must_not_be_is_refused(words: list[str], why: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing runs."""
    with pytest.raises(SystemExit) as ended:
        main(["--alertmanager", NOWHERE, *words, "--", "echo", "it ran"])

    said = capfd.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert why in said.err.splitlines()[-1]


@pytest.mark.parametrize("service", ["", ".*", "a|b", "orders billing", "-orders", 'a",severity="page'])
def test_a_silence_is_of_one_service(service: str) -> None:
    """An empty name is that of every alert without one."""
    with pytest.raises(ValueError, match="is no name of a service"):
        silence(service, datetime.now(UTC))
