"""Folders of migrations for tests, and what is in a database afterwards."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.migrations import MigrationSettings
from dev.environment import ROOT

SETTINGS = MigrationSettings(folder=ROOT / "migrations", lock_timeout_seconds=0.2)
# Everything that a migration could leave behind, as text. Roles belong to the server, and rows to no schema.
_CATALOGUE = """
    WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    SELECT 'relation', concat_ws(' ', oid::regclass, relkind, relrowsecurity, relforcerowsecurity, relacl, reloptions,
        pg_get_expr(relpartbound, oid)) FROM ours
    UNION ALL SELECT 'column', concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
        attidentity, attgenerated, attacl, pg_get_expr(adbin, adrelid))
        FROM ours JOIN pg_attribute ON attrelid = ours.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped
    UNION ALL SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN ours ON oid = indexrelid
    UNION ALL SELECT 'function', concat_ws(' ', pg_get_functiondef(oid), proacl)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'policy', concat_ws(' ', polrelid::regclass, polname, polcmd, polroles::regrole[],
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
    UNION ALL SELECT 'type', concat_ws(' ', typname, typtype)
        FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typrelid = 0 AND typelem = 0
    UNION ALL SELECT 'schema', concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'default right', concat_ws(' ', defaclobjtype, defaclacl) FROM pg_default_acl
    UNION ALL SELECT 'comment', concat_ws(' ', objoid::regclass, description)
        FROM pg_description JOIN ours ON classoid = 'pg_class'::regclass AND objoid = ours.oid
    UNION ALL SELECT 'extension', extname FROM pg_extension
    UNION ALL SELECT 'setting', concat(setconfig) FROM pg_db_role_setting
"""


def empty_folder(folder: Path) -> MigrationSettings:
    """Give `folder` what every folder of migrations has, and return settings for it."""
    for name in ("env.py", "squawk.toml"):
        shutil.copy(ROOT / "migrations" / name, folder)
    return SETTINGS.model_copy(update={"folder": folder})


def write_migration(folder: Path, revision: str, down_revision: str | None, sql: str, undo: str = "") -> None:
    """Write a migration that runs each statement of `sql`, those that say CONCURRENTLY outside a transaction."""
    (folder / "versions").mkdir(exist_ok=True)
    (folder / "versions" / f"{revision}.py").write_text(
        f"from alembic import op\nrevision = {revision!r}\ndown_revision = {down_revision!r}\n"
        f"def upgrade():\n{_body(sql)}\ndef downgrade():\n{_body(undo)}"
    )


def write_migrations(folder: Path, *sql: str) -> Sequence[str]:
    """Write one migration after the other, called `0001` and so on, and return their revisions."""
    names = [f"{number:04}" for number in range(1, len(sql) + 1)]
    for name, before, text_ in zip(names, [None, *names], sql, strict=False):
        write_migration(folder, name, before, text_)
    return names


async def catalogue(engine: AsyncEngine) -> set[tuple[str, str]]:
    """Return everything that is defined in the database."""
    async with engine.connect() as connection:
        return {(kind, said) for kind, said in await connection.execute(text(_CATALOGUE))}


async def tables(engine: AsyncEngine) -> set[str]:
    """Return the names of all tables."""
    async with engine.connect() as connection:
        names = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        return set(names.scalars())


def _body(sql: str) -> str:
    lines = ["    pass"]
    for statement in filter(None, map(str.strip, sql.split(";"))):
        if "CONCURRENTLY" in statement:
            lines += ["    with op.get_context().autocommit_block():", f"        op.execute({statement!r})"]
        else:
            lines.append(f"    op.execute({statement!r})")
    return "\n".join(lines)
