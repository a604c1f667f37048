"""A real process of the service under test: started, read line by line, signalled, and never left behind."""

import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from dev.environment import ROOT
from dev.process import Process
from tests.support.eventually import eventually


class ServiceProcess:
    """What a platform does with a process: start it, probe it, read its output, stop or kill it."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.process = Process(name, argv, env=env, cwd=ROOT, on_line=self.lines.append)

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Every line so far that is a JSON object; what is not stays in `lines`."""
        return [parsed for parsed in map(_json, list(self.lines)) if parsed is not None]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        return [line for line in self.logs if line.get("event") == event]

    def start(self) -> None:
        """Start, without waiting for readiness."""
        self.process.start()

    async def wait_until_ready(self, url: str, *, within_seconds: float = 20) -> None:
        """Return when GET `url` answers 200.

        Raises:
            AssertionError: the process ended, or time is up; the message holds its last lines.
        """
        async with httpx.AsyncClient(timeout=2) as client:

            async def answers() -> bool:
                if not self.process.running:
                    raise AssertionError(self.obituary("ended before it was ready"))
                try:
                    return (await client.get(url)).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            try:
                await eventually(answers, within_seconds=within_seconds)
            except AssertionError as exc:
                raise AssertionError(self.obituary(f"is not ready at {url}: {exc}")) from exc

    def terminate(self, *, timeout_seconds: float = 30) -> int:
        """Send SIGTERM, as a platform does, and return the exit code."""
        self.process.send(signal.SIGTERM)
        return self.process.wait(timeout_seconds=timeout_seconds)

    def kill(self) -> None:
        """Send SIGKILL: a crash at whatever the process was doing."""
        self.process.kill()

    def obituary(self, what: str) -> str:
        """Return its end and its last lines, under a heading that says what happened."""
        last = "\n".join(self.lines[-20:])
        return f"{self.process.name} {what}\nexit code {self.process.returncode}, last lines:\n{last}"


def _json(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
