"""Refuses migrations that would stop the service: squawk's rules, and three that squawk does not have."""

import json
import re
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .plan import Step, timeouts
from .settings import MigrationSettings

_LONGEST_RUN_SECONDS = 60
# Alembic's own table comes with the first migration; its shape is none of ours.
_VERSION_TABLE = re.compile(r"CREATE TABLE alembic_version \(.*?\);", re.DOTALL)
_BODY = re.compile(r"(\$\w*\$).*?\1", re.DOTALL)
_IGNORE = re.compile(r"--\s*lint-ignore ([\w-]+)")
_START = r"^(?:\s|--[^\n]*\n)*"  # of a statement, after comments
_CONCURRENT = r"INDEX\s+CONCURRENTLY\s+IF\s+(?:NOT\s+)?EXISTS\s+(\w+)"
_TIMEOUT = re.compile(rf"{_START}SET\s+(?:LOCAL\s+|SESSION\s+)?(?:lock|statement)_timeout\b", re.IGNORECASE)
_BACKFILL = re.compile(rf"{_START}(?:UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?(?!alembic_version\b)", re.IGNORECASE)
_CREATE = re.compile(rf"{_START}CREATE\s+(?:UNIQUE\s+)?{_CONCURRENT}", re.IGNORECASE)
_DROP = re.compile(rf"{_START}DROP\s+{_CONCURRENT}", re.IGNORECASE)


class LinterMissing(Exception):
    """squawk is not installed here: it comes with the development dependencies, and is not part of the image."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement that a rule refuses."""

    revision: str
    rule: str
    message: str
    statement: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.revision}: {self.rule}: {self.statement} {self.message}"


def lint(steps: Iterable[Step], settings: MigrationSettings) -> list[Finding]:
    """Return what is wrong with migrations, in their order.

    `-- squawk-ignore RULE` above a statement says that squawk's rule does not apply; `-- lint-ignore RULE` does it for
    ours. A table that the same migration creates is new: what would block its users is let through.

    Raises:
        LinterMissing: there is no squawk.
    """
    steps = list(steps)
    texts = {step.revision: _VERSION_TABLE.sub("", f"{timeouts(settings)}\n{step.sql}\n") for step in steps}
    found = _squawk(texts, settings.folder / "squawk.toml") if texts else []
    found += [finding for step in steps for finding in _own(step)]
    order = list(texts)
    return sorted(found, key=lambda finding: order.index(finding.revision))


def _squawk(texts: dict[str, str], configuration: Path) -> list[Finding]:
    program = Path(sysconfig.get_path("scripts")) / "squawk"
    if not program.exists():
        raise LinterMissing("squawk is not installed here; it comes with the development dependencies")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{revision}.sql") for revision in texts]
        for file in files:
            file.write_text(texts[file.stem], encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our linter, on files that were written here
            [program, "--reporter=json", f"--config={configuration.absolute()}", *files],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_RUN_SECONDS,
        )
    if not done.stdout.startswith("["):
        raise RuntimeError(f"squawk failed: {done.stderr.strip() or done.returncode}")
    return [_finding(one, texts) for one in json.loads(done.stdout)]


def _finding(told: dict[str, str | int], texts: dict[str, str]) -> Finding:
    revision = Path(str(told["file"])).stem
    line = texts[revision].splitlines()[int(told["line"])]  # counted from 0
    return Finding(revision, str(told["rule_name"]), str(told["message"]), line.strip())


def _own(step: Step) -> Iterator[Finding]:
    """Yield what squawk has no rule for."""
    dropped: set[str] = set()
    for statement in _BODY.sub("''", step.sql).split(";"):
        if drop := _DROP.match(statement):
            dropped.add(drop[1])
        for rule, message in _broken_rules(statement, dropped):
            if rule not in _IGNORE.findall(statement):
                yield Finding(step.revision, rule, message, statement.strip().splitlines()[-1].strip())


def _broken_rules(statement: str, dropped: set[str]) -> Iterator[tuple[str, str]]:
    if _TIMEOUT.match(statement):
        yield "own-timeout", "The runner sets the timeouts, and tries again; a migration that waits stops everybody."
    if _BACKFILL.match(statement):
        yield "backfill-in-migration", "Change rows in batches, outside: here they stay locked until the end."
    create = _CREATE.match(statement)
    if create and create[1] not in dropped:
        yield (
            "concurrent-index-may-stay-invalid",
            "Broken off, it leaves an invalid index, and IF NOT EXISTS takes that for the real one: drop it first.",
        )
