"""`app partitions`, as an operator uses it: processes of their own on a real PostgreSQL."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.partitions import Month
from dev.environment import ROOT
from tests.support.app_command import app, operators_variables

COMMANDS = re.findall(r"^app (.+)$", (ROOT / "docs" / "partitions.md").read_text(), re.MULTILINE)


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    """Return the environment of a process that has the logins of production."""
    return operators_variables(database_url)


@pytest.mark.parametrize("command", ["migrate up", "partitions ahead"])
async def test_months_are_made_ahead(env: dict[str, str], engine: AsyncEngine, command: str) -> None:
    """By each deployment, and by the command that runs every day; the second run finds nothing to do."""
    ended = await app(env, command)
    again = await app(env, command)

    months = Month.of(datetime.now(UTC)).ahead(3)
    async with engine.connect() as connection:
        for name in (month.partition_of("orders") for month in months):
            assert await connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name})
    assert (ended.code, again.code) == (0, 0)
    assert [line.count('"partitions.made"') for line in (ended.out, again.out)] == [12, 0]
    assert '"partitions.up_to_date"' in again.out


async def test_the_list_tells_the_months_of_each_table(env: dict[str, str]) -> None:
    """A heading per table; the default partition is the last of its lines."""
    await app(env, "partitions ahead")
    ended = await app(env, "partitions list")

    lines = ended.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "audit_log, by recorded_at (timestamp with time zone)",
        "order_timeline, by order_id (uuid)",
        "orders, by id (uuid)",
    ]
    months = [month.partition_of("orders") for month in Month.of(datetime.now(UTC)).ahead(3)]
    assert [line.split()[0] for line in lines[-5:]] == [*months, "orders_default"]


async def test_the_service_itself_cannot_make_them(env: dict[str, str]) -> None:
    """Its login owns no table; PostgreSQL's reason is one line."""
    ended = await app({**env, "APP_MIGRATIONS__DATABASE_URL": env["APP_DATABASE__URL"]}, "partitions ahead")

    assert ended.code == 1
    assert re.fullmatch(
        r"app: PostgreSQL refuses: .*(permission denied|must be owner).*\n", ended.err.splitlines(keepends=True)[-1]
    )


async def test_a_database_that_is_not_there_is_said(env: dict[str, str]) -> None:
    """In one line, with the setting to look at."""
    nowhere = "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere"
    ended = await app({**env, "APP_MIGRATIONS__DATABASE_URL": nowhere}, "partitions ahead")

    assert ended.code == 1
    assert "PostgreSQL cannot be reached at APP_MIGRATIONS__DATABASE_URL; is it running?" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_of_the_page_works(env: dict[str, str], command: str) -> None:
    """As docs/partitions.md has it."""
    assert (await app(env, command)).code == 0
