"""Every migration goes up, down and up again while its tables and all others are read and written.

Prints a table: how long each way took, how often it had to be tried, and the longest wait that a user of the tables
noticed. Exit status 1 if a statement failed where the table was there, or rows were lost.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.patterns.migrations import MigrationSettings
from dev.environment import ROOT
from dev.migration_drill.rows import CannotFill
from dev.migration_drill.run import Leg, drill
from dev.postgres import PostgreSQL

_DATABASE = "drill"
_FORM = "{:<24}{:<10}{:>9}{:>7}{:>12}{:>15}{:>18}{:>8}"
_HEAD = ("migration", "way", "seconds", "tries", "statements", "lock wait ms", "statement ms", "errors")


def table(legs: Sequence[Leg], lock_timeout_seconds: float) -> str:
    """Return the result for people."""
    lines = [_FORM.format(*_HEAD)]
    for leg in legs:
        noticed = leg.noticed
        waits = (round(1000 * noticed.longest_wait_seconds), round(1000 * noticed.longest_seconds))
        lines.append(
            _FORM.format(
                leg.revision, leg.way, f"{leg.seconds:.2f}", leg.tries, noticed.statements, *waits, len(noticed.errors)
            )
        )
    longest = max(leg.noticed.longest_wait_seconds for leg in legs)
    lines.append(
        f"A user of the tables waited at most {1000 * longest:.0f} ms for a lock; "
        f"the runner gives its own wait up after {1000 * lock_timeout_seconds:.0f} ms."
    )
    wrong = [
        f"WRONG: {leg.revision} {leg.way}: {what}"
        for leg in legs
        for what in [*dict.fromkeys(leg.noticed.errors), *(f"{name} has lost rows" for name in leg.lost)]
    ]
    return "\n".join([*lines, *wrong])


def _main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m dev.migration_drill", description=__doc__)
    arguments.add_argument("--rows", type=int, default=20_000, help="rows in each table before it is migrated")
    given = arguments.parse_args()
    settings = MigrationSettings(folder=ROOT / "migrations", lock_timeout_seconds=0.1, attempts=200)
    with tempfile.TemporaryDirectory(prefix="migration-drill-") as folder:
        postgres = PostgreSQL(Path(folder) / "postgres", durable=False)
        postgres.start()
        try:
            postgres.create_database(_DATABASE)
            legs = asyncio.run(drill(postgres.url(_DATABASE), settings, rows=given.rows))
        except CannotFill as exc:
            sys.exit(str(exc))
        finally:
            postgres.stop()
    print(table(legs, settings.lock_timeout_seconds))
    if not all(leg.passed for leg in legs):
        sys.exit("The drill failed.")


if __name__ == "__main__":
    _main()
