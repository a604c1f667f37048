"""`make demo` as a newcomer meets it: a walk that shows what it claims, or says in one line what is missing."""

import json
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dev.environment import APP
from tests.conftest import StartProcess
from tests.support.eventually import eventually
from tests.support.service_process import ServiceProcess

TITLES = (
    "1/5  An order is placed and paid",
    "2/5  The payment provider refuses",
    "3/5  The payment provider is down, and the worker settles the order later",
    "4/5  The first order is cancelled",
    "5/5  A request with two mistakes",
)
Run = Callable[..., ServiceProcess]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder for the walk's data, outside `tmp_path`: pytest closes that to all but its owner."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.fixture
def mark() -> str:
    """Return a word that every process started by this test's walk has in its environment."""
    return uuid4().hex


@pytest.fixture
def walk(start_process: StartProcess, folder: Path, mark: str) -> Run:
    """Return a function that starts the walk with options and extra variables."""

    def run(*options: str, **env: str) -> ServiceProcess:
        argv = (APP[0], "-m", "dev.walk", *options)
        return start_process("walk", *argv, env={"TMPDIR": str(folder), "WALKED_BY": mark, **env})

    return run


def alive(mark: str) -> list[str]:
    """Return the processes of this test's walk."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark.encode() in _bytes(path)]


def contents(folder: Path) -> list[Path]:
    """Return what the walk has left in its folder."""
    return list(folder.iterdir())


def section(lines: list[str], title: str) -> dict[str, str]:
    """Return what one step shows, by label; a label that comes twice keeps both texts."""
    begin = lines.index(title) + 2
    end = next((at for at in range(begin, len(lines)) if not lines[at]), len(lines))
    shown: dict[str, str] = {}
    label = ""
    for line in lines[begin:end]:
        label = line[:12].strip() or label
        shown[label] = f"{shown.get(label, '')}{line[12:]} "
    return shown


def test_walk_shows_every_signal_of_every_step(walk: Run, folder: Path, mark: str) -> None:
    """Five steps show answers, lines, traces, metrics, events and effects within 100 columns, and leave nothing."""
    run = walk("--exit")

    assert run.process.wait(timeout_seconds=120) == 0, "\n".join(run.lines)

    assert [line for line in run.lines if re.match(r"\d/\d ", line)] == list(TITLES)
    paid, refused, down, cancelled, bad = (section(run.lines, title) for title in TITLES)
    assert set(paid) == {"request", "response", "log line", "trace", "metric", "event", "effect", "took"}
    assert "201 Created" in paid["response"]
    assert re.search(r"POST /v1/orders +server .*POST /authorisations +client .*process order\.placed", paid["trace"])
    _require_one_thread(paid)
    assert "402 Payment Required" in refused["response"]
    assert '"error_code": "payment_refused"' in refused["log line"]
    assert '"state": "pending"' in down["response"]
    assert re.search(r"settle order +internal .*POST /authorisations +client .*process order\.placed", down["trace"])
    assert '"state": "placed"' in down["effect"]
    assert re.search(r'"order\.placed".*"order\.cancelled"', cancelled["effect"])
    assert '"voided": true' in cancelled["payment"]
    assert "#/currency" in bad["response"]
    assert "#/items/0/quantity" in bad["response"]
    assert "event" not in bad
    assert max(len(line) for line in run.lines) <= 100
    assert alive(mark) == []
    assert contents(folder) == []


def test_step_that_does_not_show_what_it_claims_ends_the_walk(walk: Run, folder: Path, mark: str) -> None:
    """A service that refuses the first order, here for its size, fails the walk: one line says so, nothing stays."""
    run = walk("--exit", APP_HTTP__MAX_BODY_BYTES="10")

    assert run.process.wait(timeout_seconds=120) == 1

    expected = 'walk: step 1, "An order is placed and paid": POST /v1/orders answered 413, and not 201'
    assert run.lines[-1] == expected
    assert not any("Traceback" in line for line in run.lines)
    assert alive(mark) == []
    assert contents(folder) == []


async def test_service_stays_until_ctrl_c(walk: Run, folder: Path, mark: str) -> None:
    """After the walk the token and address on the screen place an order, whose line is printed; Ctrl-C ends it all."""
    run = walk()
    await eventually(
        lambda: any("Place an order:" in line for line in run.lines) or not run.process.running, within_seconds=120
    )
    said = "\n".join(run.lines)
    token = re.search(r"export TOKEN=(\S+)", said)
    url = re.search(r"curl -s -X POST (\S+)", said)
    assert token is not None, said
    assert url is not None, said
    body = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]}

    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token[1]}"}) as client:
        placed = await client.post(url[1], json=body)

    assert placed.status_code == 201
    request_id = placed.headers["x-request-id"]
    await eventually(lambda: any(line.startswith("serve") and request_id in line for line in run.lines))
    run.process.send(signal.SIGINT)
    assert run.process.wait(timeout_seconds=30) == 0
    assert alive(mark) == []
    assert contents(folder) == []


def _require_one_thread(shown: dict[str, str]) -> None:
    """The ids of the log line are those of answer, trace, exemplar, event and consumer."""
    line = _first_document(shown["log line"])
    event = _first_document(shown["event"][shown["event"].index("{") :])
    assert shown["log line"].count(line["request_id"]) == shown["log line"].count(line["trace_id"]) == 2
    assert line["request_id"] in shown["response"]
    assert line["request_id"] == event["requestid"]
    assert event["traceparent"].split("-")[1:3] == [line["trace_id"], line["span_id"]]
    assert f'trace_id="{line["trace_id"]}"' in shown["metric"]
    assert shown["trace"].startswith(line["trace_id"])


def _first_document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return document


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile, or somebody else's
        return b""
