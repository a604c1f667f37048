"""Are the pipelines sound? Asks the linters of each system, and a few rules of this house; `make pipelines`.

Exit status: 0 all is well, 1 something is not, 2 it could not be looked.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dev.delivery import ci
from dev.delivery.linters import Job, NotLooked
from dev.delivery.tools import ToolMissing
from dev.deploy_window import LONGEST
from dev.environment import ROOT
from dev.ops.durations import seconds

_PREPARES = re.compile(r"(sudo )?apt-get (update|install) ")
"""What a job may do beside running a target."""
_RELEASES = {"push", "deploy"}


def look(root: Path) -> list[str]:
    """Return what is wrong with the pipelines of a repository, a line each.

    Raises:
        NotLooked: one of the linters did not do its work, or there is no pipeline.
        ToolMissing: one of them is not installed.
    """
    jobs: dict[str, list[Job]] = {}
    found = []
    for name, system in _systems():
        if own := list(system.jobs(root)):
            jobs[name] = own
            found += [*system.look(root), *(f"{name}: {mistake}" for mistake in _mistakes(own, targets(root)))]
    if not jobs:
        raise NotLooked("there is no pipeline")
    return [*found, *_differences({name: {t for job in own for t in job.targets} for name, own in jobs.items()})]


def targets(root: Path) -> set[str]:
    """Return what `make` knows."""
    makefiles = [root / "Makefile", *sorted(root.glob("deploy/*/*.mk"))]
    return {name for path in makefiles for name in re.findall(r"^([a-z][a-z-]*):", path.read_text(), re.MULTILINE)}


def _systems() -> Iterator[tuple[str, Any]]:
    for module in pkgutil.iter_modules(ci.__path__):
        yield module.name, importlib.import_module(f"{ci.__name__}.{module.name}")


def _mistakes(jobs: Sequence[Job], known: set[str]) -> Iterator[str]:
    for job in jobs:
        if job.minutes is None:
            yield f"{job.name}: has no time limit"
        elif "deploy" in job.targets and job.minutes * 60 <= seconds(LONGEST):
            yield f"{job.name}: is ended before a deployment, which may take {LONGEST}, can go back"
        if not job.may_release and _RELEASES & {*job.targets}:
            yield f"{job.name}: releases what was not checked, or nobody approved"
        if job.may_fail:
            yield f"{job.name}: may fail, and nobody notices"
        yield from _mistakes_of_commands(job, known)


def _mistakes_of_commands(job: Job, known: set[str]) -> Iterator[str]:
    if not job.commands:
        yield f"{job.name}: does nothing"
    for line in job.commands:
        if not (job.runs(line) or _PREPARES.match(line)):
            yield f"{job.name}: nobody can run this here: {line}"
    for target in job.targets:
        if target not in known:
            yield f"{job.name}: the Makefile has no target {target}"


def _differences(done: dict[str, set[str]]) -> Iterator[str]:
    """Where there are pipelines for two systems, they do the same."""
    for system, own in done.items():
        for other, others in done.items():
            for target in sorted(own - others):
                yield f"{other}: nothing runs {target}, as {system} does"


def main() -> int:
    """Print what was found, and return the exit status."""
    try:
        found = look(ROOT)
    except (NotLooked, ToolMissing) as exc:
        print(f"pipelines: not looked: {exc}", file=sys.stderr)
        return 2
    for line in found:
        print(line)
    print(f"pipelines: {len(found)} mistakes" if found else "pipelines: all is well")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
