"""The curl commands of a page, to be sent by a test."""

import re
import shlex
from typing import NamedTuple


class Command(NamedTuple):
    """One curl command: what it asks for, and the word that its output is searched for."""

    url: str
    headers: dict[str, str]
    body: str | None
    searched: str


def commands_in(page: str) -> list[Command]:
    """Return the commands of a page, one per line or continued by a backslash."""
    return [_read(line) for line in re.findall(r"^curl .+$", page.replace("\\\n", " "), re.MULTILINE)]


def _read(line: str) -> Command:
    """Return a command; the options are those that the pages use."""
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
