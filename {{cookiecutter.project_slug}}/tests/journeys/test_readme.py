"""The commands of README.md, as somebody would paste them, against the running service."""

import json

import httpx
import pytest

from dev.environment import ROOT
from tests.support.curl import Command, commands_in
from tests.support.eventually import eventually
from tests.support.running_service import RunningService

TEXT = (ROOT / "README.md").read_text().replace("\\\n", " ")
COMMANDS = commands_in(TEXT)


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
