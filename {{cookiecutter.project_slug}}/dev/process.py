"""One child process: started, listened to, stopped. The servers, the supervisor and the tests all stand on it."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_REMEMBERED_LINES = 40


class StartFailed(Exception):
    """A server did not start; the message is one line that says why and what to do."""


class Process:
    """A child in a session of its own, so that Ctrl-C reaches only its owner, who decides about the order of the end.

    One thread reads what the child says, line by line. Waiting is waiting for a line, so nothing here sleeps and polls.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: int | None = None,
        on_line: Callable[[str], None] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self._argv = [str(part) for part in argv]
        self._env = env  # None: the owner's own
        self._cwd = cwd
        self._user = user
        self._on_line = on_line
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._heard = threading.Condition()
        self._lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._silent = True

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while running."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def last_lines(self) -> list[str]:
        """The newest lines of output, for an error message."""
        with self._heard:
            return list(self._lines)

    def start(self) -> None:
        """Start the child.

        Raises:
            StartFailed: the program does not exist or may not be run.
        """
        assert not self.running, f"{self.name} is already running"
        self._lines.clear()
        self._silent = False
        try:
            self._popen = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._cwd,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise StartFailed(f"{self.name} cannot be started: {exc}.") from exc
        self._reader = threading.Thread(target=self._read, name=f"read-{self.name}", daemon=True)
        self._reader.start()

    def wait_for_line(self, text: str, *, timeout_seconds: float) -> bool:
        """Return True once a line holding `text` was heard, False when the child fell silent or time is up."""
        deadline = time.monotonic() + timeout_seconds
        with self._heard:
            while not any(text in line for line in self._lines):
                left = deadline - time.monotonic()
                if self._silent or left <= 0:
                    return False
                self._heard.wait(left)
            return True

    def stop(self, *, timeout_seconds: float = 10) -> int | None:
        """Ask the child to end, insist after `timeout_seconds`, and return the exit code. Harmless when it is gone."""
        if self._popen is None:
            return None
        self.send(self._stop_signal)
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the child is gone."""
        if self._popen is not None and self._popen.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._popen.pid, number)

    def kill(self) -> int | None:
        """End the child at once, without giving it a last word: what a crash or the OOM killer does."""
        if self._popen is None:
            return None
        self.send(signal.SIGKILL)
        self._popen.wait()
        return self._close()

    def wait(self, *, timeout_seconds: float) -> int:
        """Return the exit code of a child that ends by itself.

        Raises:
            TimeoutError: it is still running after `timeout_seconds`.
        """
        assert self._popen is not None
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError(f"{self.name} is still running after {timeout_seconds} s") from exc
        code = self._close()
        assert code is not None
        return code

    def _read(self) -> None:
        assert self._popen is not None
        assert self._popen.stdout is not None
        for raw in self._popen.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            with self._heard:
                self._lines.append(line)
                self._heard.notify_all()
            if self._on_line is not None:
                self._on_line(line)
        with self._heard:
            self._silent = True
            self._heard.notify_all()

    def _close(self) -> int | None:
        assert self._popen is not None
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(timeout=5)  # the last lines; grandchildren may keep the pipe a moment longer
        if self._popen.stdout is not None and not (self._reader and self._reader.is_alive()):
            self._popen.stdout.close()
        return self._popen.returncode
