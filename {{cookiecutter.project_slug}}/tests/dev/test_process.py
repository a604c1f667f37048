"""One child process: what is heard of it, and how it ends."""

import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from dev.process import Process, StartFailed

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
Python = Callable[[str], Process]


@pytest.fixture
def python() -> Iterator[Python]:
    """Yield a function that starts Python with a program; what still runs is killed in the end."""
    started = []

    def start(program: str) -> Process:
        process = Process("child", [sys.executable, "-c", program])
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


def test_output_of_both_streams_is_heard(python: Python) -> None:
    """Lines of standard output and of standard error arrive, the last one too."""
    process = python("import sys; print('out'); print('err', file=sys.stderr)")

    assert process.wait(timeout_seconds=10) == 0
    assert sorted(process.last_lines) == ["err", "out"]


def test_waiting_for_a_line_ends_with_the_child(python: Python) -> None:
    """A child that ends without the line does not keep its owner waiting until the deadline."""
    process = python("print('not this one')")
    begun = time.monotonic()

    assert not process.wait_for_line("ready", timeout_seconds=60)
    assert time.monotonic() - begun < 30


def test_waiting_for_a_line_ends_at_the_deadline(python: Python) -> None:
    """A child that says nothing is given up in time."""
    process = python("import time; time.sleep(60)")

    assert not process.wait_for_line("ready", timeout_seconds=0.05)
    assert process.running


def test_stop_insists(python: Python) -> None:
    """A child that ignores SIGTERM is killed when its time is up."""
    process = python(STUBBORN)
    assert process.wait_for_line("up", timeout_seconds=10)

    assert process.stop(timeout_seconds=0.05) == -signal.SIGKILL
    assert not process.running


def test_stop_of_an_ended_child_is_harmless(python: Python) -> None:
    """Stopping twice, or after the end, returns the exit code again."""
    process = python("raise SystemExit(3)")
    process.wait(timeout_seconds=10)

    assert (process.stop(), process.stop()) == (3, 3)


def test_waiting_for_the_end_has_a_deadline(python: Python) -> None:
    """A child that does not end by itself is reported, not waited for."""
    process = python("import time; time.sleep(60)")

    with pytest.raises(TimeoutError, match="child is still running"):
        process.wait(timeout_seconds=0.05)


def test_missing_program_is_one_line() -> None:
    """A program that does not exist is a `StartFailed` that names it."""
    with pytest.raises(StartFailed, match=r"^child cannot be started: .*no-such-program.*$"):
        Process("child", ["/no-such-program"]).start()
