"""Lints the SQL of every migration in the folder; `make lint` runs it. Exit status 1 if a rule refuses one."""

import sys

from app.patterns.migrations import MigrationSettings, all_steps, lint
from dev.environment import ROOT

if __name__ == "__main__":
    settings = MigrationSettings(folder=ROOT / "migrations")
    found = lint(all_steps(settings), settings)
    if found:
        sys.exit("\n".join(map(str, found)))
    print("No migration is refused.")
