"""patterns/structured_logging: what ends a process, thread, task or interpreter is a line too."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import IDENTITY, violations

_SETUP = f"""
import asyncio, atexit, faulthandler, gc, os, signal, sys, threading, warnings
from pathlib import Path
import uvloop
from app.patterns.structured_logging import *

settings = LoggingSettings(crash_folder=Path(sys.argv[1]), rate_per_second=1e-9)
configure(settings, **{IDENTITY!r})

async def forget():
    async def fail():
        raise RuntimeError("gone")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

def fail():
    raise RuntimeError("gone")

def die(number):
    os.kill(os.getpid(), number)

class Broken:
    def __del__(self):
        fail()
"""
_DIE = "watch_interpreter(settings, service='orders'); die(signal.{name})"
_LIVE = "watch_interpreter(settings, service='orders')"


def run(program: str, folder: Path) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
    """Run a program with this logging; return its lines, each of which keeps to the schema."""
    argv = [sys.executable, "-c", _SETUP + program, str(folder)]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line, broken) for line in lines if (broken := violations(line))] == []
    return lines, done


@pytest.mark.parametrize(
    ("program", "event", "level"),
    [
        pytest.param("fail()", "process.crashed", "critical", id="process"),
        pytest.param(
            "thread = threading.Thread(target=fail); thread.start(); thread.join()", "thread.crashed", "error",
            id="thread",
        ),
        pytest.param("asyncio.run(forget())", "task.crashed", "error", id="task nobody waited for"),
        pytest.param("uvloop.run(forget())", "task.crashed", "error", id="the same in uvloop"),
        pytest.param("Broken()", "finalizer.crashed", "error", id="finalizer"),
        pytest.param("atexit.register(fail)", "finalizer.crashed", "error", id="function at exit"),
    ],
)  # fmt: skip
def test_a_crash_is_a_line_too(tmp_path: Path, program: str, event: str, level: str) -> None:
    """What Python would print to standard error is written in the same shape, and nothing else is."""
    (line,), done = run(program, tmp_path)

    assert (line["event"], line["level"], line["service"]) == (event, level, "orders")
    assert line["exception"]["message"] == "gone"
    assert line["exception"]["frames"][-1]["function"].endswith("fail")
    assert done.stderr == b""


def test_a_process_that_ends_tells_what_it_has_dropped(tmp_path: Path) -> None:
    """The last summary does not wait for its time."""
    lines, _ = run("for _ in range(9000): warnings.warn_explicit('loud', UserWarning, 'x', _)", tmp_path)

    written = [line for line in lines if line["event"] == "python.warnings"]
    summed = sum(line["dropped"]["python.warnings"] for line in lines if line["event"] == "logging.lines_dropped")
    assert lines[-1]["event"] == "logging.lines_dropped"
    assert len(written) + summed == 9000


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_the_next_start_tells_of_a_crash_of_the_interpreter(tmp_path: Path, name: str) -> None:
    """Nothing can be written as it happens; the next process of the service says where it was, once."""
    last_words, died = run(_DIE.format(name=name), tmp_path)
    (line,), _ = run(_LIVE, tmp_path)
    nothing, _ = run(_LIVE, tmp_path)

    assert (last_words, nothing, died.stdout, died.stderr) == ([], [], b"", b"")
    assert died.returncode == -signal.Signals[name]
    assert (line["event"], line["level"], line["crashed_pid"] > 0) == ("process.crashed", "critical", True)
    assert [frame["function"] for frame in line["exception"]["frames"]] == ["<module>", "die"]


def test_another_service_does_not_tell_of_it(tmp_path: Path) -> None:
    """Services that share a folder for temporary files keep to their own crashes."""
    run(_DIE.format(name="SIGSEGV"), tmp_path)
    lines, _ = run("watch_interpreter(settings, service='orders-two')", tmp_path)

    assert lines == []


def test_a_process_that_lives_is_not_taken_for_one_that_crashed(tmp_path: Path) -> None:
    """Two processes of a service at once: the second leaves the first one's note alone."""
    program = f"{_LIVE}; print(flush=True); os.read(0, 1); die(signal.SIGSEGV)"
    argv = [sys.executable, "-c", _SETUP + program, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second, _ = run(_LIVE, tmp_path)
        first.communicate(b"x", timeout=20)
    third, _ = run(_LIVE, tmp_path)

    assert second == []
    assert [line["crashed_pid"] for line in third] == [first.pid]


def test_processes_with_the_same_id_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """In containers that share the folder every process may be number 1: each has a note of its own."""
    lines, done = run(f"{_LIVE}; {_LIVE}", tmp_path)

    assert (lines, done.returncode) == ([], 0)


def test_what_others_put_into_the_folder_is_left_alone(tmp_path: Path) -> None:
    """The folder for temporary files is open to all: a link is not followed, and a pipe does not hold up the start."""
    (tmp_path / "secret").write_text("Fatal Python error: hunter2")
    (tmp_path / "orders.7.link.crash").symlink_to(tmp_path / "secret")
    (tmp_path / "orders.mine.crash").write_text("not a note")
    os.mkfifo(tmp_path / "orders.7.pipe.crash")
    before = sorted(tmp_path.iterdir())
    lines, done = run(_LIVE, tmp_path)

    assert (lines, done.returncode, sorted(tmp_path.iterdir())) == ([], 0, before)


def test_a_process_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    """An end, and a kill that leaves no time for any, do not fill the folder."""
    run(_DIE.format(name="SIGKILL"), tmp_path)
    lines, _ = run(_LIVE, tmp_path)

    assert lines == []
    assert list(tmp_path.iterdir()) == []


def test_a_service_starts_without_a_place_for_notes(tmp_path: Path) -> None:
    """A read-only file system costs the report of crashes, with one warning, and not the service."""
    (tmp_path / "file").touch()
    (line,), done = run(_LIVE, tmp_path / "file")

    assert (line["event"], line["level"], done.returncode) == ("process.unwatched", "warning", 0)
