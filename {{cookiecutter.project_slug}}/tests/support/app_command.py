"""`app <command>` run as an operator runs it: a process of its own, with the logins of production."""

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from dev.environment import ROOT, Addresses, machine_variables, variables
from tests.support.log_lines import violations


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log, on standard error; each keeps to the schema."""
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        assert [broken for line in lines if (broken := violations(line))] == []
        return lines

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.lines if line["event"] == event]


def operators_variables(database_url: str) -> dict[str, str]:
    """Return the environment of a process that has the logins of production, and neither broker nor provider."""
    nowhere = "127.0.0.1:1"
    return variables(
        Addresses(
            database_url=database_url,
            broker_url=f"nats://{nowhere}",
            payments_url=f"http://{nowhere}",
            jwks_url=f"http://{nowhere}",
            http_port=0,
            worker_port=0,
        ),
        env="test",
    )


async def app(env: Mapping[str, str], command: str) -> Ended:
    """Run `app <command>` to its end."""
    return await run(env, "-c", "from app.cli import main; main()", *shlex.split(command))


async def run(env: Mapping[str, str], *arguments: str) -> Ended:
    """Run Python with `arguments` to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=ROOT,
        env={**machine_variables(), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
