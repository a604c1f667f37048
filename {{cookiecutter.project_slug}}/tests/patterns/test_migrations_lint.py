"""patterns/migrations/lint.py: squawk itself, on the SQL of migrations. What it accepts runs on a real PostgreSQL."""

import sysconfig
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns import migrations
from app.patterns.migrations import LinterMissing, MigrationSettings
from tests.support.migrations import SETTINGS, empty_folder, write_migrations

pytestmark = pytest.mark.schema

TABLES = """
    CREATE TABLE other (id bigint PRIMARY KEY);
    CREATE TABLE t (id bigint PRIMARY KEY, a bigint, name text);
    CREATE INDEX t_name_idx ON t (name)
"""
CHECK = "ALTER TABLE t ADD CONSTRAINT a_positive CHECK (a > 0)"
FOREIGN_KEY = "ALTER TABLE t ADD CONSTRAINT t_a_fkey FOREIGN KEY (a) REFERENCES other (id)"
INDEX = "DROP INDEX CONCURRENTLY IF EXISTS i; CREATE {} INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"

# What goes wrong, the rule that says so, and what to do instead: one text per migration.
CLASSICS = {
    "required column without default": (
        "ALTER TABLE t ADD COLUMN b bigint NOT NULL",
        "adding-required-field",
        ["ALTER TABLE t ADD COLUMN b bigint NOT NULL DEFAULT 0"],
    ),
    "volatile default": (
        "ALTER TABLE t ADD COLUMN b uuid DEFAULT gen_random_uuid()",
        "adding-field-with-default",
        ["ALTER TABLE t ADD COLUMN b uuid; ALTER TABLE t ALTER COLUMN b SET DEFAULT gen_random_uuid()"],
    ),
    "index that blocks writes": (
        "CREATE INDEX i ON t (a)",
        "require-concurrent-index-creation",
        [INDEX.format("")],
    ),
    "foreign key that scans": (
        FOREIGN_KEY,
        "adding-foreign-key-constraint",
        [f"{FOREIGN_KEY} NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT t_a_fkey"],
    ),
    "check that scans": (
        CHECK,
        "constraint-missing-not-valid",
        [f"{CHECK} NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT a_positive"],
    ),
    "check validated under the same lock": (
        f"{CHECK} NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT a_positive",
        "constraint-missing-not-valid",
        [f"{CHECK} NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT a_positive"],
    ),
    "column that becomes required": (
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "adding-not-nullable-field",
        [
            "ALTER TABLE t ADD CONSTRAINT a_there CHECK (a IS NOT NULL) NOT VALID",
            "ALTER TABLE t VALIDATE CONSTRAINT a_there; ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        ],
    ),
    "unique constraint that builds its index": (
        "ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE (a)",
        "disallowed-unique-constraint",
        [INDEX.format("UNIQUE"), "ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE USING INDEX i"],
    ),
    "renamed column": (
        "ALTER TABLE t RENAME COLUMN a TO b",
        "renaming-column",
        ["ALTER TABLE t ADD COLUMN b bigint"],
    ),
    "renamed table": (
        "ALTER TABLE t RENAME TO u",
        "renaming-table",
        ["CREATE VIEW u WITH (security_invoker = true) AS SELECT * FROM t"],
    ),
    "changed type": (
        "ALTER TABLE t ALTER COLUMN a TYPE text",
        "changing-column-type",
        ["ALTER TABLE t ADD COLUMN a_text text"],
    ),
    "dropped column": (
        "ALTER TABLE t DROP COLUMN a",
        "ban-drop-column",
        ["-- No release that runs reads it.\n-- squawk-ignore ban-drop-column\nALTER TABLE t DROP COLUMN a"],
    ),
    "dropped table": (
        "DROP TABLE t",
        "ban-drop-table",
        ["-- No release that runs reads it.\n-- squawk-ignore ban-drop-table\nDROP TABLE t"],
    ),
    "index dropped under a full lock": (
        "DROP INDEX t_name_idx",
        "require-concurrent-index-deletion",
        ["DROP INDEX CONCURRENTLY IF EXISTS t_name_idx"],
    ),
    "index that may stay invalid": (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
        "concurrent-index-may-stay-invalid",
        [INDEX.format("")],
    ),
    "backfill under one lock": (
        "UPDATE t SET a = 1",
        "backfill-in-migration",
        ["-- Never more than a few rows.\n-- lint-ignore backfill-in-migration\nUPDATE t SET a = 1"],
    ),
    "a timeout of its own": (
        "SET LOCAL lock_timeout = 0; ALTER TABLE t ADD COLUMN b bigint",
        "own-timeout",
        ["ALTER TABLE t ADD COLUMN b bigint"],
    ),
}
CLASSIC = pytest.mark.parametrize("classic", CLASSICS)


@CLASSIC
def test_a_bad_migration_is_refused_by_name(tmp_path: Path, classic: str) -> None:
    """The rule that refuses it says which mistake it is."""
    bad, rule, _ = CLASSICS[classic]

    assert rule in refused(empty_folder(tmp_path), TABLES, bad)["0002"]


@CLASSIC
async def test_its_safe_form_is_accepted_and_runs(empty: AsyncEngine, tmp_path: Path, classic: str) -> None:
    """What to do instead is left alone by every rule, and PostgreSQL does it."""
    *_, safe = CLASSICS[classic]
    settings = empty_folder(tmp_path)

    assert refused(settings, TABLES, *safe) == {}
    assert not (await migrations.upgrade(empty, settings)).up_to_date
    assert (await migrations.schema_version(empty, migrations.revisions(settings))).up_to_date


def test_a_concurrent_index_inside_a_transaction_is_refused(tmp_path: Path) -> None:
    """PostgreSQL would refuse it too, but only in production, after what came before it."""
    settings = empty_folder(tmp_path)
    _, second = write_migrations(tmp_path, TABLES, INDEX.format(""))
    file = tmp_path / "versions" / f"{second}.py"
    file.write_text(file.read_text().replace("with op.get_context().autocommit_block():", "if True:"))

    assert "ban-concurrent-index-creation-in-transaction" in rules(settings)[second]


def test_a_table_that_is_new_blocks_nobody(tmp_path: Path) -> None:
    """Indexes and constraints on a table of the same migration are built while it is empty and unknown."""
    more = f"{TABLES}; CREATE INDEX t_a_idx ON t (a); {CHECK}; {FOREIGN_KEY}"

    assert refused(empty_folder(tmp_path), more) == {}


def test_a_function_may_change_rows(tmp_path: Path) -> None:
    """What a function's body says is not what the migration does."""
    body = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$ UPDATE t SET a = 1 $f$"

    assert refused(empty_folder(tmp_path), f"{TABLES}; {body}") == {}


def test_the_services_own_migrations_are_accepted() -> None:
    """Every migration in the folder, as `make lint` sees it."""
    found = migrations.lint(migrations.all_steps(SETTINGS), SETTINGS)

    assert [str(finding) for finding in found] == []


def test_a_missing_linter_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the image there is none; that is not the same as no findings."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))

    with pytest.raises(LinterMissing, match="not installed"):
        migrations.lint(migrations.all_steps(SETTINGS), SETTINGS)


def refused(settings: MigrationSettings, *sql: str) -> dict[str, set[str]]:
    """Return which rules refuse which of these migrations."""
    write_migrations(settings.folder, *sql)
    return rules(settings)


def rules(settings: MigrationSettings) -> dict[str, set[str]]:
    """Return which rules refuse which migration of a folder."""
    found: dict[str, set[str]] = {}
    for finding in migrations.lint(migrations.all_steps(settings), settings):
        found.setdefault(finding.revision, set()).add(finding.rule)
    return found
