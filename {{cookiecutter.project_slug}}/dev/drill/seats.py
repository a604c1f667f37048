"""The places in the fleet that stay taken: whenever a process ends, the next one starts, as a platform would do it."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from dev.crashing_worker import last_words
from dev.drill.plan import WorkerDeath
from dev.environment import APP
from dev.process import Process

_KILLED = -9
_LOOK_SECONDS = 0.05
ANY_MOMENT = "any moment"
POWER_CUT = "with everything else"


class Seat:
    """One place. What its process runs is `app COMMAND`."""

    def __init__(self, name: str, command: str, start: Callable[[str, tuple[str, ...]], Process]) -> None:
        self.name = name
        self._command = command
        self._start = start
        self._process: Process | None = None
        self._struck: str | None = None
        self.deaths: Counter[str] = Counter()
        """How often it was killed, by when."""
        self.surprises: list[str] = []
        """Ends that nobody had planned."""

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.running

    def kill(self, when: str = ANY_MOMENT) -> None:
        """Kill the process, whatever it does."""
        if self._process is not None and self._process.running:
            self._struck = when
            self._process.kill()

    async def run(self) -> None:
        """Keep a process running until cancelled."""
        while True:
            self._process = process = self._start(self.name, self._argv())
            await until(partial(_ended, process))
            self._bury(process.wait(timeout_seconds=5), process.last_lines)

    def _argv(self) -> tuple[str, ...]:
        return (*APP, self._command)

    def _bury(self, code: int, said: list[str]) -> None:
        struck, self._struck = self._struck, None
        if code == _KILLED and struck:
            self.deaths[struck] += 1
        else:
            self.surprises.append(f"{self.name} ended with {code}: {' '.join(said[-1:])[:300]}")


class Worker(Seat):
    """A place whose process can be sent to a crash point."""

    def __init__(self, name: str, start: Callable[[str, tuple[str, ...]], Process]) -> None:
        super().__init__(name, "worker", start)
        self._to_reach: WorkerDeath | None = None

    @property
    def doomed(self) -> bool:
        """Whether it is still on its way to a crash point."""
        return self._to_reach is not None

    def strike(self, death: WorkerDeath) -> None:
        """Kill the process now, and let the next one run into a crash point."""
        self._to_reach = death
        self.kill()

    def _argv(self) -> tuple[str, ...]:
        if self._to_reach is None:
            return super()._argv()
        return (sys.executable, "-m", "dev.crashing_worker", self._to_reach.point, str(self._to_reach.nth))

    def _bury(self, code: int, said: list[str]) -> None:
        # By its last words: killed on its way to the crash point, it is sent there again.
        if code == _KILLED and self._to_reach and said and said[-1] == last_words(self._to_reach.point):
            self.deaths[self._to_reach.point] += 1
            self._to_reach = self._struck = None
        else:
            super()._bury(code, said)


def _ended(process: Process) -> bool:
    return not process.running


async def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds; whoever needs a deadline sets one around it."""
    while True:
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
