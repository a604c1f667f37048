"""Migrations: one runner at a time, short locks, nothing to do when the schema is up to date, and a look before.

Use when: several processes of a release may start at the same moment, and requests go on meanwhile.
Not when: a single process owns the database.
Costs:    one advisory lock; a migration that cannot get its locks is tried again; a change that breaks running code
          takes two releases, see docs/migrations.md.
Fails:    another runner at work -> waits, then finds nothing left to do; a table is busy -> gives up the lock quickly,
          so that nobody queues behind it, and tries again; wrong migration -> its transaction rolls back, exit 1.
Copy:     this folder, kit/context.py, kit/db.py, kit/errors.py, `migrations/env.py`, `migrations/squawk.toml`,
          `alembic.ini`.
Origin:   the rules of `strong_migrations`; Refactoring Databases, Ambler and Sadalage (2006), for expand and contract.
"""

from .lint import Finding, LinterMissing, lint
from .plan import Step, all_steps, differences, losses, steps_down, steps_up, timeouts
from .runner import ADVISORY_LOCK, RunnerBusy, WrongTarget, downgrade, require_below, upgrade
from .schema import (
    BASE,
    BrokenLine,
    SchemaOutOfDate,
    SchemaVersion,
    require_up_to_date,
    revisions,
    schema_version,
)
from .settings import MigrationSettings

__all__ = [
    "ADVISORY_LOCK",
    "BASE",
    "BrokenLine",
    "Finding",
    "LinterMissing",
    "MigrationSettings",
    "RunnerBusy",
    "SchemaOutOfDate",
    "SchemaVersion",
    "Step",
    "WrongTarget",
    "all_steps",
    "differences",
    "downgrade",
    "lint",
    "losses",
    "require_below",
    "require_up_to_date",
    "revisions",
    "schema_version",
    "steps_down",
    "steps_up",
    "timeouts",
    "upgrade",
]
