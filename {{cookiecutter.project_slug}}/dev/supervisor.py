"""Owns the child processes of `make up`: every one that was started is stopped, the last one first."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import httpx

from dev.console import Console
from dev.guardian import Guardian
from dev.process import Process, StartFailed

_READY_TIMEOUT_SECONDS = 30.0
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Server(Protocol):
    """What `dev.postgres` and `dev.nats` have in common."""

    process: Process

    def start(self) -> None:
        """Start, and return when it can be used."""


class Supervisor:
    """Starts in order, stops in reverse."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._guardian = Guardian()
        self._running: list[Process] = []

    def start_server(self, server: Server) -> None:
        """Start a server that knows by itself when it is ready."""
        self._start(server.process, server.start)

    def start(self, process: Process, *, ready_line: str | None = None, ready_url: str | None = None) -> None:
        """Start `process`, and return when it said `ready_line` or answers 200 at `ready_url`.

        Raises:
            StartFailed: it ended instead, with its last line, or it is not ready in time.
        """
        self._start(process, process.start)
        if ready_line is not None and not process.wait_for_line(ready_line, timeout_seconds=_READY_TIMEOUT_SECONDS):
            raise _not_ready(process)
        if ready_url is not None:
            _wait_for(ready_url, process)

    def stop(self, process: Process) -> None:
        """Stop one process."""
        process.stop()
        if process in self._running:
            self._running.remove(process)
            self._guardian.forget(process.pid)

    def ended(self) -> list[Process]:
        """Return the processes that ended without being asked to."""
        return [process for process in self._running if not process.running]

    def stop_all(self) -> None:
        """Stop everything, the last started first. A second Ctrl-C meanwhile kills what is left."""
        for number in _INTERRUPTS:
            signal.signal(number, lambda *_: self._kill_all())
        while self._running:
            self.stop(self._running[-1])
        self._guardian.dismiss()

    def _start(self, process: Process, start: Callable[[], None]) -> None:
        with _interrupt_held_back():
            start()
            self._running.append(process)
            self._guardian.look_after(process.pid)

    def _kill_all(self) -> None:
        self._console.say("killing what is left")
        for process in self._running:
            process.send(signal.SIGKILL)


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Let Ctrl-C and its like wait for the end of the block: a child born in between would belong to nobody."""
    caught: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


def _wait_for(url: str, process: Process) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    while process.running and time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise _not_ready(process)


def _not_ready(process: Process) -> StartFailed:
    last = next((line.strip() for line in reversed(process.last_lines) if line.strip()), "it said nothing")
    if process.running:
        return StartFailed(f"{process.name} is not ready after {_READY_TIMEOUT_SECONDS:.0f} s. Its last line: {last}")
    process.stop()
    return StartFailed(f"{process.name} does not start: {last}")
