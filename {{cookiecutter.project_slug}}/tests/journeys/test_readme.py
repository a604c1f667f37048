"""The commands of README.md, as somebody would paste them, against the running service."""

import json
import re
import shlex
from typing import NamedTuple

import httpx
import pytest

from dev.environment import ROOT
from tests.support.eventually import eventually
from tests.support.running_service import RunningService


class Command(NamedTuple):
    """One curl command: what it asks for, and the word that its output is searched for."""

    url: str
    headers: dict[str, str]
    body: str | None
    searched: str


def read(line: str) -> Command:
    """Return a command of README.md; the options are those that it uses."""
    words = shlex.split(line, comments=True)
    curl, _, grep = " ".join(map(shlex.quote, words)).partition(" '|' ")
    parts = iter(shlex.split(curl)[1:])
    url, body, headers = "", None, {}
    for part in parts:
        if part == "-H":
            name, value = next(parts).split(": ", 1)
            headers[name] = value
        elif part == "-d":
            body = next(parts)
        elif part not in {"-i", "-s"}:
            url = part
    return Command(url, headers, body, shlex.split(grep)[-1] if grep else "")


TEXT = (ROOT / "README.md").read_text().replace("\\\n", " ")
COMMANDS = [read(line) for line in re.findall(r"^curl .+$", TEXT, re.MULTILINE)]


@pytest.mark.parametrize("command", COMMANDS, ids=[command.url for command in COMMANDS])
async def test_command_of_the_readme_works(service: RunningService, command: Command) -> None:
    """Each command is answered with success, and finds what it searches for."""
    url = command.url.replace("localhost:8000", service.url).replace("localhost:8001", service.worker_url)
    headers = {name: value.replace("$TOKEN", service.token()) for name, value in command.headers.items()}

    async def answered() -> str | None:
        async with httpx.AsyncClient(headers=headers) as client:
            answer = await client.request("POST" if command.body else "GET", url, content=command.body)
        return answer.text if answer.is_success and command.searched in answer.text else None

    assert url != command.url
    assert await eventually(answered)


def test_readme_has_a_walk() -> None:
    """There are commands to test, and one of them places an order."""
    bodies = [json.loads(command.body) for command in COMMANDS if command.body]

    assert len(COMMANDS) >= 5
    assert [body["items"][0]["sku"] for body in bodies] == ["tea"]
