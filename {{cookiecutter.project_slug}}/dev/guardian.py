"""Ends what `make up` has started when `make up` itself was killed and could not.

It holds the reading end of a pipe. The pipe closes when the supervisor is gone, however it went.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_GRACE_SECONDS = 5.0


class Guardian:
    """The supervisor's side: tells the guardian which processes to look after."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__)], stdin=subprocess.PIPE, start_new_session=True
        )

    def look_after(self, pid: int) -> None:
        """End `pid` if this process dies."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """`pid` has ended; the number may be given to a stranger now."""
        self._tell(f"-{pid}")

    def dismiss(self) -> None:
        """Nothing is left to look after."""
        self._tell("*")
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()


def _main() -> None:
    pids: list[int] = []
    for line in sys.stdin:
        word = line.strip()
        if word == "*":
            pids.clear()
        elif word.startswith("+"):
            pids.append(int(word[1:]))
        else:
            pids.remove(int(word[1:]))
    deadline = time.monotonic() + _GRACE_SECONDS
    for pid in reversed(pids):
        _send(pid, signal.SIGINT)  # PostgreSQL's fast shutdown; everything else takes it as Ctrl-C
    while time.monotonic() < deadline and (
        pids := [pid for pid in pids if _send(pid, 0)]
    ):  # gone once, it is a stranger
        time.sleep(0.05)
    for pid in pids:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    _main()
