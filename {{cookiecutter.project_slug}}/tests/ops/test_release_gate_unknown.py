"""The release gate when it cannot know: each way ends in time, with exit status 2 and one line that says why."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dev.environment import ROOT, machine_variables
from dev.http_server import serving
from dev.release_gate import __main__ as gate
from dev.release_gate import policy as policies

NOTHING_FOUND = '{"status": "success", "data": {"resultType": "vector", "result": []}}'
STRANGE = "what answered does not speak as Prometheus does: look at the address"
ANSWERS = {
    "an error": (503, "", "Prometheus answered 503 Service Unavailable"),
    "a refusal": (401, "", "Prometheus answered 401 Unauthorized"),
    "a login page elsewhere": (302, "", "Prometheus answered 302 Found"),
    "a login page": (200, "<html>", STRANGE),
    "nothing": (200, "", STRANGE),
    "other JSON": (200, '{"status": "success"}', STRANGE),
    "a failed query": (200, '{"status": "error", "data": null, "error": "x"}', STRANGE),
    "a number": (200, '{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}', STRANGE),
    "a row without value": (
        200,
        '{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}',
        STRANGE,
    ),
    "a part": (
        200,
        NOTHING_FOUND.replace('{"status"', '{"warnings": ["a store is away"], "status"'),
        "Prometheus answered with a warning: a store is away",
    ),
    "no series at all": (
        200,
        NOTHING_FOUND,
        "no process of this service is scraped: look at the name, and at which Prometheus it is",
    ),
}
TOKEN = "of-the-gate"


class StandIn:
    """Whatever may answer where Prometheus should."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, NOTHING_FOUND)

    def app(self) -> Starlette:
        """Return its HTTP side."""
        routes = [("", self._answer), ("/guarded", self._guarded), ("/dripping", self._dripping)]
        return Starlette(routes=[Route(f"{prefix}/api/v1/query", handler) for prefix, handler in routes])

    async def _answer(self, _: Request) -> Response:
        status, body = self.answer
        return Response(body, status)

    async def _guarded(self, request: Request) -> Response:
        allowed = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        return Response(NOTHING_FOUND if allowed else "", 200 if allowed else 401)

    async def _dripping(self, _: Request) -> Response:
        async def spaces() -> AsyncIterator[bytes]:
            for _ in range(1_000):
                yield b" "
                await asyncio.sleep(0.01)

        return StreamingResponse(spaces())


@pytest.fixture(scope="module")
def stand_in() -> StandIn:
    """Return what answers in this module."""
    return StandIn()


@pytest.fixture(scope="module")
def url(stand_in: StandIn) -> Iterator[str]:
    """Yield its address."""
    with serving(stand_in.app()) as url:
        yield url


def unknown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the gate, which must not know, and return why."""
    assert gate.main([*words, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "unknown"
    return str(told["why"])


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_no_answer_is_unknown(
    stand_in: StandIn, url: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a page for people nor a part of the data is taken for an answer."""
    status, body, why = ANSWERS[kind]
    stand_in.answer = (status, body)

    assert unknown(capsys, "--prometheus", url) == why


def test_nobody_there_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """A Prometheus that is down does not allow anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert unknown(capsys, "--prometheus", f"http://127.0.0.1:{port}").startswith("Prometheus cannot be asked: ")


def test_a_server_that_hangs_is_given_up(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: the gate's own deadline ends that."""
    monkeypatch.setattr(gate, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        why = unknown(capsys, "--prometheus", f"http://127.0.0.1:{listener.getsockname()[1]}")

    assert why == "Prometheus did not answer in time"


def test_an_answer_without_end_is_given_up(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then is no progress: the deadline is for all that is asked."""
    monkeypatch.setattr(gate, "_SECONDS", 0.2)

    assert unknown(capsys, "--prometheus", f"{url}/dripping") == "Prometheus did not answer in time"


def test_the_token_is_sent(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It comes from a file, as a pipeline mounts it; without it there is no answer."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    without = unknown(capsys, "--prometheus", f"{url}/guarded")
    with_it = unknown(capsys, "--prometheus", f"{url}/guarded", "--token-file", str(file))

    assert without == "Prometheus answered 401 Unauthorized"
    assert with_it.startswith("no process of this service is scraped")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param([], "where is Prometheus? Say it with --prometheus or in PROMETHEUS_URL", id="no address"),
        pytest.param(["--prometheus", "prometheus:9090"], "Prometheus cannot be asked: ", id="no URL"),
        pytest.param(["--prometheus", "http://[::x"], "Prometheus cannot be asked: ", id="nonsense"),
        pytest.param(["--prometheus", "http://x", "--service", 'x"} or vector(1)'], "'x\"} or", id="no service"),
        pytest.param(["--prometheus", "http://x", "--service", ""], "'' is no name of a service", id="empty service"),
        pytest.param(
            ["--prometheus", "http://x", "--reason", "friday"],
            "--reason friday is not in the policy, but fix, security",
            id="unknown reason",
        ),
        pytest.param(
            ["--prometheus", "http://x", "--token-file", "/nowhere"], "the token cannot be read: ", id="no token"
        ),
        pytest.param(
            ["--prometheus", "http://x", "--token-file", "/dev/null"], "/dev/null holds no token", id="empty token"
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_unknown(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in how the gate is called does not allow anything."""
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)

    assert unknown(capsys, *words).startswith(why)


def test_a_policy_with_a_mistake_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake is told with its line."""
    broken = tmp_path / "release-policy.yaml"
    broken.write_text(policies.SOURCE.read_text().replace("percent_left: 0\n", "percent_left: none\n"))
    monkeypatch.setattr(policies, "SOURCE", broken)

    assert "freeze.percent_left: Input should be a valid number" in unknown(capsys, "--prometheus", "http://x")


def test_a_mistake_in_the_gate_is_unknown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python ends with 1 after an exception, which would say frozen."""

    def broken(*_: object) -> None:
        raise KeyError("slo")

    monkeypatch.setattr(gate, "measure", broken)

    assert unknown(capsys, "--prometheus", "http://x") == "the gate itself is broken: KeyError('slo')"


def test_the_exit_status_is_that_of_the_process() -> None:
    """`PROMETHEUS_URL` says where to ask; the status reaches who started it."""
    ended = subprocess.run(
        [sys.executable, "-m", "dev.release_gate", "--service", "orders"],
        cwd=ROOT,
        env={**machine_variables(), "PROMETHEUS_URL": "http://127.0.0.1:1", "PYTHONPATH": "src:."},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.splitlines()[-1].startswith("UNKNOWN: Prometheus cannot be asked: ")
