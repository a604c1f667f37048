"""What modules of `ci` share: a job, and files held against the schemas that their makers publish."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.delivery.tools import run

_MAKE = re.compile(r"make(?P<words>( (?!MAKEFLAGS)[^\s|;&]+)+)")


class NotLooked(Exception):
    """A linter did not do its work; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a pipeline."""

    name: str
    commands: Sequence[str]
    minutes: float | None
    """How long it may take; None without a limit of its own."""
    may_fail: bool = False
    """Whether what fails in it goes unnoticed."""
    may_release: bool = False
    """Whether it begins only when every check has passed, and is in an environment, which says who approves."""

    def runs(self, line: str) -> bool:
        """Return whether a line does nothing but run targets of the Makefile."""
        return _MAKE.fullmatch(line) is not None

    @property
    def targets(self) -> list[str]:
        """What it runs of the Makefile."""
        words = [word for line in self.commands if (made := _MAKE.fullmatch(line)) for word in made["words"].split()]
        return [word for word in words if "=" not in word]


def lines(script: str) -> list[str]:
    """Return the commands of a script."""
    return [line.strip() for line in script.splitlines() if line.strip()]


def schema_errors(root: Path, schema: str, *patterns: str) -> Iterator[str]:
    """Yield what a schema says of the files that match, a line each.

    Raises:
        NotLooked: the checker did not do its work.
        ToolMissing: it is not installed.
    """
    files = sorted(str(path.relative_to(root)) for pattern in patterns for path in root.glob(pattern))
    if not files:
        return
    done = run("check-jsonschema", "--builtin-schema", schema, "--output-format", "json", *files, cwd=root)
    said = parsed(done.stdout, done.stderr)
    for error in said.get("errors", []):
        yield f"{error['filename']}: {error['path']}: {error['message']}"
    for error in said.get("parse_errors", []):
        yield f"{error['filename']}: {error['message']}"


def parsed(text: str, said: str) -> Any:  # noqa: ANN401 - each program has its own shape
    """Return a program's answer.

    Raises:
        NotLooked: it gave none; the message is what it said instead.
    """
    try:
        return json.loads(text)
    except ValueError as exc:
        raise NotLooked(said or text) from exc
