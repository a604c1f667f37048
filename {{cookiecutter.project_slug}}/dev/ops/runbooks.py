"""Runbooks, read: sections, and the blocks in them that are executed while the fault is on.

    ```promql            must return rows in Diagnosis, while the fault is on; in Verify, once it is over
    ```promql perhaps    may return rows: it depends on the cause
    ```sql               the same, asked of the database as its owner
    ```sql replica       asked of its replica
    ```sql $month        the first field of its first row is what `$month` stands for in the blocks that follow
    ```sh                must succeed; `fails` after it: must fail

`$service` stands for the service. A line that begins with `kubectl` is carried out on the processes that are there.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dev.environment import ROOT
from dev.ops.app_commands import no_command
from dev.ops.lines import BadSource
from dev.ops.selectors import declare_all, mistakes

FOLDER = ROOT / "docs" / "runbooks"
SECTIONS = ("Meaning", "Impact", "First five minutes", "Diagnosis", "Mitigation", "Verify", "Escalate")
KINDS = ("promql", "sql", "sh")
KUBECTL = re.compile(
    r'kubectl --namespace "\$service" (?P<verb>rollout restart|rollout undo|rollout status|scale|logs|get)'
    r" (?P<what>deployment/(?:http|worker|probe)|pods)(?: --replicas=(?P<replicas>\d+)| --tail=\d+| --previous)*"
)
"""The commands of the platform that runbooks use, and no others."""
_FENCE = re.compile(r"^```(\w*) ?(\$?\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """What is executed."""

    kind: str
    text: str
    word: str
    """`perhaps`, `fails`, `replica`, a name that begins with `$`, or nothing."""
    line: int


class Runbook(NamedTuple):
    """One page."""

    path: Path
    sections: Mapping[str, str]
    blocks: Mapping[str, tuple[Block, ...]]
    """By section."""


def read(alert: str, folder: Path = FOLDER) -> Runbook:
    """Return the runbook of an alert.

    Raises:
        BadSource: there is none.
    """
    path = folder / f"{alert}.md"
    if not path.is_file():
        raise BadSource(f"{_name(path)}: {alert} has no runbook")
    text = path.read_text()
    heads = [*re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    sections, blocks = {}, {}
    for head, end in zip(heads, ends, strict=True):
        body = text[head.end() : end]
        sections[head[1]] = body.strip()
        blocks[head[1]] = tuple(
            Block(found[1], found[3], found[2], text[: head.end() + found.start()].count("\n") + 1)
            for found in _FENCE.finditer(body)
        )
    return Runbook(path, sections, blocks)


def check(alerts: Iterable[str], folder: Path = FOLDER) -> None:
    """Return if each alert has a runbook, each runbook an alert, and each of their commands exists.

    Raises:
        BadSource: with the line and the reason of each mistake.
    """
    declare_all()
    told: list[str] = []
    names = [*alerts]
    for name in names:
        try:
            runbook = read(name, folder)
        except BadSource as exc:
            told.append(str(exc))
            continue
        told += [f"{_name(runbook.path)}:{line}: {why}" for line, why in _mistakes(runbook)]
    spare = sorted({path.stem for path in folder.glob("*.md")} - {*names, "README"})
    told += [f"{_name(folder / name)}.md: there is no alert {name}" for name in spare]
    if told:
        raise BadSource("\n".join(told))


def _mistakes(runbook: Runbook) -> Iterator[tuple[int, str]]:
    if [*runbook.sections] != [*SECTIONS]:
        yield 1, f"its sections are {', '.join(runbook.sections) or 'none'}, and should be {', '.join(SECTIONS)}"
        return
    for section, text in runbook.sections.items():
        if not text:
            yield 1, f"{section} says nothing"
    for section in ("Diagnosis", "Verify"):
        if not runbook.blocks[section]:
            yield 1, f"{section} has nothing to execute"
    for block in (block for blocks in runbook.blocks.values() for block in blocks):
        yield from ((block.line, why) for why in _wrong(block))


def _wrong(block: Block) -> Iterator[str]:
    if block.kind not in KINDS:
        yield f"a block is one of {', '.join(KINDS)}, and not {block.kind or 'nothing'}"
    if (block.word == "replica" or block.word.startswith("$")) and block.kind != "sql":
        yield f"{block.word} stands after sql, and not after {block.kind}"
    elif block.word not in ("", "perhaps", "fails", "replica") and not re.fullmatch(r"\$[a-z]+", block.word):
        yield f"after its kind a block says perhaps, fails or nothing, and not {block.word}"
    if block.kind == "promql":
        yield from mistakes(block.text)
    if block.kind == "sh":
        for command in block.text.splitlines():
            if command.startswith("kubectl "):
                if not KUBECTL.fullmatch(command):
                    yield f"no such command of the platform: {command}"
            elif command.startswith("app ") and (why := no_command(shlex.split(command, comments=True)[1:])):
                yield f"no such command: {command}: {why}"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
