"""Orders come in while processes and servers are killed; in the end each event must be in effect exactly once.

Prints what happened as a table. Exit status 1 if an event is missing, doubled or out of order, if an answer was not
kept, or if something failed that was not supposed to.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from dev.drill.plan import draw
from dev.drill.run import Result, drill
from dev.process import StartFailed


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="python -m dev.drill", description=__doc__)
    arguments.add_argument("--orders", type=int, default=2000)
    arguments.add_argument("--per-second", type=float, default=25.0, help="how fast orders come in")
    arguments.add_argument("--rounds", type=int, default=2, help="how often each kind of fault happens")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1, help="which faults happen when")
    return arguments.parse_args()


def table(result: Result) -> str:
    """Return the result for people."""
    verdict = result.verdict
    rows = [
        ("seed", result.plan.seed),
        ("orders asked for", result.plan.orders),
        ("requests", result.requests),
        *((f"  {answer}", count) for answer, count in sorted(result.answers.items())),
        ("customers without an answer", result.gave_up),
        ("orders in the database", verdict.states.total()),
        *((f"  {state}", count) for state, count in sorted(verdict.states.items())),
        ("workers killed", result.deaths.total()),
        *((f"  {point}", count) for point, count in sorted(result.deaths.items())),
        ("taken down and up", result.restarts.total()),
        *((f"  {what}", count) for what, count in sorted(result.restarts.items())),
        ("processes killed (SIGKILL)", result.kills),
        ("faults missed", result.faults_missed),
        ("events expected", verdict.expected),
        ("events in effect", verdict.in_effect),
        ("  missing", verdict.missing),
        ("  doubled", verdict.doubled),
        ("  out of order", verdict.out_of_order),
        ("stored in the broker again", result.stored - verdict.expected),
        ("orders unfinished", verdict.unfinished),
        ("promises broken", len(verdict.promises_broken)),
        ("unexpected answers", len(verdict.answers_unexpected)),
        ("seconds", round(result.seconds, 1)),
    ]
    complaints = [*verdict.promises_broken[:10], *verdict.answers_unexpected, *result.surprises, result.left_over]
    lines = [f"{name:<32}{value:>8}" for name, value in rows]
    return "\n".join([*lines, *(f"WRONG: {complaint}" for complaint in complaints if complaint)])


def _main() -> None:
    given = _arguments()
    plan = draw(**vars(given))
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    print(f"Drill with seed {given.seed}: {len(plan.faults)} faults during {given.orders} orders. Logs: {folder}")
    try:
        result = asyncio.run(drill(plan, folder))
    except StartFailed as exc:
        sys.exit(str(exc))
    print(table(result))
    if not result.passed:
        sys.exit(f"The drill failed. Logs: {folder}")
    shutil.rmtree(folder)
    print("Every order's event is in effect exactly once, in order.")


if __name__ == "__main__":
    _main()
