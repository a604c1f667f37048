"""A program that is forked is to its starter what it would be if it had been started: streams, status, signals."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.environment import ROOT, machine_variables
from dev.process import Process
from dev.prove import forks
from tests.support.eventually import eventually

_PROGRAM = """
import os, signal, sys, time

def main():
    print(os.getpid(), os.getcwd(), os.environ["WHO"], *sys.argv[1:], flush=True)
    match sys.argv[1:]:
        case ["waits"]:
            time.sleep(60)
        case ["listens"]:
            def leave(*_):
                print("asked to leave", flush=True)
                sys.exit(3)
            signal.signal(signal.SIGTERM, leave)
            print("listening", flush=True)
            time.sleep(60)
        case ["breaks"]:
            raise RuntimeError("of its own")
        case ["crashes"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["leaves", status]:
            sys.exit(int(status))
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a process listens that has imported the program."""
    folder = tmp_path_factory.mktemp("forks")
    (folder / "a_program.py").write_text(_PROGRAM)
    env = {**machine_variables(), "PYTHONPATH": f"{ROOT}:{folder}"}
    process = Process("forks", forks.server(folder / "socket", ["a_program"]), env=env, cwd=ROOT)
    process.start()
    assert process.wait_for_line("ready", timeout_seconds=20), process.last_lines
    yield folder / "socket"
    process.stop()


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Add processes; they are ended."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()


def start(address: Path, folder: Path, started: list[Process], *words: str) -> Process:
    """Start the program with `words` in `folder`."""
    env = {"WHO": "somebody", "PATH": os.environ["PATH"]}
    process = Process("program", (*forks.program(address, "a_program"), *words), env=env, cwd=folder)
    process.start()
    started.append(process)
    return process


def test_streams_folder_environment_and_words_are_the_clients(
    address: Path, tmp_path: Path, started: list[Process]
) -> None:
    """And none of them those of the process it is forked from."""
    process = start(address, tmp_path, started, "leaves", "0")

    assert process.wait(timeout_seconds=20) == 0
    (line,) = process.last_lines
    assert line.split()[1:] == [str(tmp_path), "somebody", "leaves", "0"]


@pytest.mark.parametrize(
    ("words", "status"),
    [(["leaves", "7"], 7), (["breaks"], 1), (["crashes"], -signal.SIGSEGV)],
    ids=["by itself", "an exception", "a signal"],
)
def test_it_ends_as_the_program_ends(
    address: Path, tmp_path: Path, started: list[Process], words: list[str], status: int
) -> None:
    """With its exit status, or by its signal; a traceback is on its own standard error."""
    process = start(address, tmp_path, started, *words)

    assert process.wait(timeout_seconds=20) == status
    assert any("RuntimeError: of its own" in line for line in process.last_lines) == (words == ["breaks"])


def test_a_signal_is_passed_on(address: Path, tmp_path: Path, started: list[Process]) -> None:
    """And what the program makes of it decides."""
    process = start(address, tmp_path, started, "listens")
    assert process.wait_for_line("listening", timeout_seconds=20)

    assert process.stop() == 3
    assert process.last_lines[-1] == "asked to leave"


async def test_a_client_that_is_killed_takes_the_program_with_it(
    address: Path, tmp_path: Path, started: list[Process]
) -> None:
    """Nothing is left that nobody knows of."""
    process = start(address, tmp_path, started, "waits")
    assert process.wait_for_line("waits", timeout_seconds=20)
    pid = int(process.last_lines[0].split()[0])
    assert pid != process.pid

    process.kill()

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await eventually(gone)


def test_without_the_process_it_is_forked_from_it_fails(tmp_path: Path) -> None:
    """At once, and says why."""
    process = Process("program", forks.program(tmp_path / "nobody", "a_program"), env=dict(os.environ), cwd=tmp_path)
    process.start()

    assert process.wait(timeout_seconds=20) == 1
    assert "FileNotFoundError" in process.last_lines[-1]
