"""A deployment in its window, as a pipeline runs it: it goes on until a test lets it end."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dev.environment import ROOT, machine_variables
from dev.process import Process


class Deployment:
    """`dev.deploy_window` around a command, by default one that waits."""

    def __init__(self, folder: Path, url: str, *options: str, command: Sequence[str] = ()) -> None:
        self._gate = folder / "gate"
        if not self._gate.exists():
            os.mkfifo(self._gate)
        self.lines: list[str] = []
        words = ["-m", "dev.deploy_window", "--alertmanager", url, *options, "--", *(command or self.waiting)]
        env = {**machine_variables(), "PYTHONPATH": "src:."}
        self.process = Process("deployment", [sys.executable, *words], env=env, cwd=ROOT, on_line=self.lines.append)

    @property
    def waiting(self) -> list[str]:
        """The command that says that it has begun, and waits."""
        return ["sh", "-c", 'echo waiting; exec cat "$0"', str(self._gate)]

    def wait_until_begun(self) -> bool:
        """Wait for the command itself: it begins when its window is open."""
        return self.process.wait_for_line("waiting", timeout_seconds=60)

    def end_command(self) -> bool:
        """Let the command end, whatever became of the window around it; return whether it was still waiting."""
        try:
            os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads
            return False
        return True

    def ends(self) -> int:
        """Let the command end, and return the exit status of the whole."""
        with self._gate.open("w"):
            pass
        return self.process.wait(timeout_seconds=60)

    def clear_away(self) -> None:
        """Leave nothing behind."""
        self.end_command()
        self.process.kill()
