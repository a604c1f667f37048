"""The test bed itself: what is shared is not seen, and nothing is left behind."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import nats
import pytest

from dev.environment import ROOT
from tests.support.eventually import eventually

# What a shell starts in the background ignores SIGINT, and so does everything below it: CI is often started that way.
RUN_PYTEST = """
import signal, sys
import pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main())
"""
INNER = """
import pytest
from pathlib import Path

@pytest.mark.parametrize("number", range(4))
async def test_own_database_and_broker(number, postgres, broker_url, run_folder):
    Path({seen!r}, "run").write_text(str(run_folder))
    Path({seen!r}, f"{{number}}.json").write_text((run_folder / "servers.json").read_text())
    {body}
"""


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_broker_is_empty_for_each_test(broker_url: str, turn: str) -> None:
    """A stream that one test made is gone for the next."""
    client = await nats.connect(broker_url)

    stream = await client.jetstream().add_stream(name="events", subjects=[f"{turn}.>"])

    assert stream.config.subjects == [f"{turn}.>"]
    await client.close()


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_database_is_fresh_and_migrated_for_each_test(database_url: str, turn: str) -> None:
    """Each test finds the tables of the migrations, and nothing of the test before."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))

    await connection.execute("CREATE TABLE mine ()")

    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1, turn
    await connection.close()


@pytest.mark.parametrize("workers", ["0", "2"], ids=["one process", "two workers"])
def test_nothing_is_left_after_a_run(tmp_path: Path, workers: str) -> None:
    """All workers share one pair of servers, which is gone, data included, when pytest returns."""
    done = inner_run(tmp_path, "pass", "-n", workers)
    output, _ = done.communicate(timeout=60)

    assert done.returncode == 0, output
    assert not the_run_folder(tmp_path).exists()
    assert [pid for pid in server_pids(tmp_path) if alive(pid)] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
async def test_nothing_is_left_after_an_interrupted_run(tmp_path: Path, number: signal.Signals) -> None:
    """However pytest ends in the middle of a test, its servers end with it."""
    hang = "import asyncio; await asyncio.sleep(60)"
    running = inner_run(tmp_path, hang)
    try:
        await eventually(lambda: any(tmp_path.glob("*.json")), within_seconds=30)
        run, pids = the_run_folder(tmp_path), server_pids(tmp_path)
        assert all(map(alive, pids))

        os.kill(running.pid, number)
        running.communicate(timeout=30)
    finally:
        running.kill()

    await eventually(lambda: not run.exists() and not any(map(alive, pids)))


def test_another_pytest_takes_no_rights_from_this_one(tmp_path: Path) -> None:
    """Whoever may pass through the folders of a test's files may still do so when another pytest has started."""
    for parent in tmp_path.parents:
        if not (mode := parent.stat().st_mode) & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
    (tmp_path / "test_another.py").write_text("def test_another(tmp_path): assert tmp_path.exists()")
    (tmp_path / "pytest.ini").write_text("[pytest]")

    subprocess.run([sys.executable, "-m", "pytest", tmp_path], cwd=tmp_path, check=True, capture_output=True)

    assert [str(parent) for parent in tmp_path.parents if not parent.stat().st_mode & stat.S_IXOTH] == []


def inner_run(tmp_path: Path, body: str, *options: str) -> "subprocess.Popen[str]":
    """Start pytest on a test file of its own, under the fixtures of this one."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_inner.py").write_text(INNER.format(seen=str(tmp_path), body=body))
    argv = [
        sys.executable,
        "-c",
        RUN_PYTEST,
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.conftest",
        "-c",
        "pyproject.toml",
    ]
    return subprocess.Popen(
        [*argv, *options, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def the_run_folder(tmp_path: Path) -> Path:
    """Return the folder of the inner run."""
    return Path((tmp_path / "run").read_text())


def server_pids(tmp_path: Path) -> list[int]:
    """Return the process ids of the inner run's servers, of which there must be one set."""
    (seen,) = {path.read_text() for path in tmp_path.glob("*.json")}
    pids: list[int] = json.loads(seen)["pids"]
    return pids


def alive(pid: int) -> bool:
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
