"""The logins of the page can be made, and rotated, by a master login such as RDS's, which is no superuser."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import migrations
from dev.environment import ROOT
from dev.postgres import PostgreSQL

_PAGE = (ROOT / "docs" / "terraform.md").read_text()
_MASTER = "SET SESSION AUTHORIZATION master;"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgreSQL]:
    """Yield a server as RDS gives it: the master owns the database, and there is no other role."""
    server = PostgreSQL(tmp_path / "postgres", durable=False)
    server.start()
    server.execute("DROP ROLE service, service_jobs, app_user, app_jobs; CREATE ROLE master LOGIN CREATEROLE CREATEDB")
    server.create_database("app")
    server.execute("ALTER DATABASE app OWNER TO master")
    yield server
    server.stop()


async def _migrate(url: str) -> None:
    engine = create_engine(DatabaseSettings.model_validate({"url": url}), application_name="test")
    await migrations.upgrade(engine, migrations.MigrationSettings(folder=ROOT / "migrations"))
    await engine.dispose()


def test_the_master_makes_the_logins_and_rotates_them(server: PostgreSQL) -> None:
    """What the page says, the migrations, and what AWS's function does: the new login has the rights of the old one."""
    (sql,) = re.findall(r"```sql\n(.*?)```", _PAGE, re.DOTALL)

    server.execute(_MASTER + sql, database="app")
    asyncio.run(_migrate(server.url("app").replace("postgres@", "service_owner@")))
    server.execute(
        _MASTER + "CREATE ROLE service_clone LOGIN PASSWORD 'a'; GRANT service TO service_clone", database="app"
    )
    server.execute(_MASTER + "ALTER ROLE service PASSWORD 'b'", database="app")

    read = "SET SESSION AUTHORIZATION service_clone; SET app.tenant = 'one'; SELECT count(*) FROM orders"
    assert server.execute(read, database="app") == "0"
