"""patterns/structured_logging: lines reach their reader whole, and never fail whoever writes them."""

import io
import json
import os
import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest
import structlog
from prometheus_client import CollectorRegistry

from app.patterns.structured_logging import LoggingSettings, lines
from app.patterns.structured_logging.lines import Lines, install, installed
from app.patterns.structured_logging.volume import Volume
from tests.support.log_lines import IDENTITY

TEXT = "x" * 3_000


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    """Take away what a test has installed."""
    yield
    lines._installed.clear()  # not by `install`, which would wait for a lock that a broken log never gives back


def write_to(stream: BinaryIO) -> CollectorRegistry:
    """Make `stream` what is written to; return where it is counted."""
    registry = CollectorRegistry()
    install(Lines(stream, LoggingSettings(burst=10**6), **IDENTITY, volume=Volume(registry=registry)))
    return registry


class Reluctant(io.BytesIO):
    """Takes at most 100 bytes at a time, as a pipe may."""

    def write(self, data: object) -> int:
        return super().write(bytes(memoryview(data)[:100]))  # type: ignore[arg-type]  # io has no public buffer type


def test_a_line_that_is_taken_in_parts_arrives_whole() -> None:
    """A short write is followed by the rest."""
    stream = Reluctant()
    write_to(stream)

    installed().log("info", "app", "order.placed", {"text": TEXT})

    assert json.loads(stream.getvalue())["text"] == TEXT


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
def test_threads_do_not_mix_their_lines_in_a_pipe(*, blocking: bool) -> None:
    """Lines longer than a pipe takes at once, from four threads, to a reader that cannot keep up: all arrive whole."""
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)

    def shout(name: int) -> None:
        for number in range(100):
            installed().log("info", "app", "order.placed", {"name": name, "number": number, "text": [TEXT] * 3})

    threads = [threading.Thread(target=shout, args=(name,)) for name in range(4)]
    with os.fdopen(writer, "wb", buffering=0) as stream, os.fdopen(reader, "rb") as pipe:
        write_to(stream)
        for thread in threads:
            thread.start()
        heard = [json.loads(pipe.readline()) for _ in range(400)]
        for thread in threads:
            thread.join()

    by_name = {name: [line["number"] for line in heard if line["name"] == name] for name in range(4)}
    assert by_name == {name: list(range(100)) for name in range(4)}


def test_nobody_who_reads_is_no_reason_to_fail() -> None:
    """With its reader gone, a process goes on; what it would have written is counted."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as stream:
        registry = write_to(stream)
        installed().log("info", "app", "order.placed", {})

    unwritable = {"event": "order.placed", "reason": "unwritable"}
    assert registry.get_sample_value("log_lines_dropped_total", unwritable) == 1
    assert registry.get_sample_value("log_lines_total", {"event": "order.placed"}) == 0


class Talkative(io.BytesIO):
    """Logs while it is written to, as a finalizer does that the garbage collector runs at that moment."""

    def write(self, data: object) -> int:
        if not self.getvalue():
            super().write(b"\n")
            installed().log("info", "app", "finalizer.spoke", {})
        return super().write(data)  # type: ignore[arg-type]  # io has no public buffer type


def test_logging_while_logging_does_not_deadlock() -> None:
    """A line that comes up while another is written is written, too."""
    stream = Talkative()
    write_to(stream)

    writer = threading.Thread(target=installed().log, args=("info", "app", "order.placed", {}), daemon=True)
    writer.start()
    writer.join(timeout=10)

    assert [json.loads(line)["event"] for line in stream.getvalue().split()] == ["finalizer.spoke", "order.placed"]


def test_before_anything_is_configured_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """A line of a pattern in a program that never called `configure` is not lost."""
    installed().log("info", "app", "order.placed", {})

    assert json.loads(capfd.readouterr().out)["event"] == "order.placed"


def test_a_logger_from_before_follows_the_new_log() -> None:
    """Loggers are made at import, long before anybody knows where lines go."""
    assert structlog.get_logger("app") is not None
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        write_to(stream)
        installed().log("info", "app", "order.placed", {})

    assert [len(stream.getvalue().splitlines()) for stream in streams] == [1, 1]
