"""Two tenants with a row each in every table of tenants, and what one of them can see and do in the other's."""

import tomllib
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dev.environment import ROOT

VICTIM, ATTACKER = "acme", "globex"

SEEDS: dict[str, str] = {
    table: statement
    for path in sorted((ROOT / "tests").glob("*/tenant_rows.toml"))
    for table, statement in tomllib.loads(path.read_text()).items()
}
"""By table: how its owner puts a row of :tenant into it. Each domain brings its own."""

TENANT_TABLES = text("""
    SELECT DISTINCT a.attrelid::regclass::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND NOT c.relispartition
      AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
    ORDER BY 1
""")


async def tenant_tables(engine: AsyncEngine) -> Sequence[str]:
    """Return the tables that have a tenant, as the catalogue knows them."""
    async with engine.connect() as connection:
        return (await connection.scalars(TENANT_TABLES)).all()


async def seed(owner: AsyncEngine) -> None:
    """Give both tenants a row in each table."""
    async with owner.begin() as connection:
        for statement in SEEDS.values():
            for tenant in (VICTIM, ATTACKER):
                await connection.execute(text(statement), {"tenant": tenant})


# Every statement forgets to name the tenant, or names the wrong one.
_ATTACKS = {
    "reads": "SELECT count(*) FROM TABLE WHERE tenant_id = :victim",
    "reads by forgetting": "SELECT count(*) FROM TABLE WHERE tenant_id IS DISTINCT FROM :own",
    "changes": "UPDATE TABLE SET tenant_id = tenant_id WHERE tenant_id = :victim",
    "takes over": "UPDATE TABLE SET tenant_id = :own WHERE tenant_id = :victim",
    "gives away": "UPDATE TABLE SET tenant_id = :victim",
    "deletes": "DELETE FROM TABLE WHERE tenant_id = :victim",
    "locks": "SELECT 1 FROM TABLE WHERE tenant_id = :victim FOR UPDATE",
    "empties": "TRUNCATE TABLE",
}


async def leaks(user: AsyncEngine, table: str, *, tenant: str | None) -> list[str]:
    """Return what `tenant`, or somebody without one, achieves in the other tenant's rows of `table`."""
    attacks = {**_ATTACKS, "writes": SEEDS[table].replace(":tenant", ":victim")}
    return [what for what, attack in attacks.items() if await _succeeds(user, attack.replace("TABLE", table), tenant)]


async def _succeeds(user: AsyncEngine, statement: str, tenant: str | None) -> bool:
    async with user.connect() as connection:
        try:
            if tenant is not None:
                await connection.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": tenant})
            return await _touched(connection, statement, tenant) > 0
        except DBAPIError:
            return False
        finally:
            await connection.rollback()


async def _touched(connection: AsyncConnection, statement: str, tenant: str | None) -> int:
    values = {name: value for name, value in {"victim": VICTIM, "own": tenant}.items() if f":{name}" in statement}
    result = await connection.execute(text(statement), values)
    if statement.startswith("SELECT count"):
        return int(result.scalar_one())
    return 1 if statement.startswith("TRUNCATE") else result.rowcount
