"""`app retention`, as an operator uses it: processes of their own on a real PostgreSQL, killed at every step."""

import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.retention import ADVISORY_LOCK
from app.kit.object_storage import FolderStore
from app.patterns import archive
from app.patterns.partitions import Month
from dev.environment import ROOT
from tests.support.app_command import Ended, app, operators_variables
from tests.support.app_command import run as run_python
from tests.support.old_orders import count, exists, given_months, given_orders, rows, run

OLD = Month.of(datetime.now(UTC) - timedelta(days=800))
PARTITION = OLD.partition_of("orders")
PAGE = (ROOT / "docs" / "retention.md").read_text()
COMMANDS = [
    command.replace("2024-10", str(OLD)).replace("2024_10", PARTITION[-7:])
    for command in re.findall(r"^app retention (.+)$", PAGE, re.MULTILINE)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def env(database_url: str, folder: Path) -> dict[str, str]:
    """Return the environment of a process that has the logins of production, and a folder for archives."""
    return {**operators_variables(database_url), "APP_RETENTION__ARCHIVE_URL": f"file://{folder}"}


@pytest.fixture
async def old(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine of a database with orders in a month that is long due; the next month is due as well."""
    await given_months(engine, OLD)
    await given_orders(engine, OLD, {"acme": 1_200, "globex": 1_300})
    return engine


async def test_a_run_removes_what_is_due(env: dict[str, str], old: AsyncEngine) -> None:
    """The log tells each step; the second run finds nothing to do, and is a success as well."""
    planned = await app(env, "retention plan")
    assert f"orders {OLD}: about " in planned.out
    assert ": archive, then drop; except settle_after IS NOT NULL\n" in planned.out
    assert await count(old, "orders") == 2_500

    ended = await app(env, "retention run")
    again = await app(env, "retention run")

    assert (ended.code, again.code, ended.err) == (0, 0, "")
    assert [ended.out.count(f'"retention.{event}"') for event in ("archived", "month_dropped")] == [4, 6]
    assert '"retention.' not in again.out
    assert not await exists(old, PARTITION)
    assert await count(old, "retention_run", "completed_at > now() - interval '1 minute'") == 3


async def test_every_command_of_the_page_works(env: dict[str, str], old: AsyncEngine) -> None:
    """In its order: the hold keeps rows of one tenant, and what it releases goes with the next run."""
    said = [await app(env, f"retention {command}") for command in COMMANDS]

    assert [ended.code for ended in said] == [0] * len(COMMANDS)
    assert len(COMMANDS) == 8
    assert re.search(r"^1 acme: matter 2026-17 \([0-9-]{10} by \w+\)$", said[3].out, re.MULTILINE)
    assert f"orders/{OLD}/1: 2500 rows of public.{PARTITION}" in said[5].out
    assert f"orders/{OLD}/1 is what was written: 2500 rows" in said[6].out
    assert await count(old, f"{PARTITION}_restored") == 2_500
    assert "released" in (await app(env, "retention holds --all")).out


async def test_held_tenants_are_in_the_plan_and_their_rows_stay(env: dict[str, str], old: AsyncEngine) -> None:
    """A month that is kept for them is no failure."""
    await app(env, "retention hold acme --reason matter")
    assert "; except rows of acme, held and settle_after IS NOT NULL" in (await app(env, "retention plan")).out

    ended = await app(env, "retention run")

    assert ended.code == 0
    assert '"retention.month_kept"' in ended.out
    assert '"rows":1300' in ended.out
    assert await count(old, PARTITION) == await count(old, PARTITION, "tenant_id = 'acme'") == 1_200


# What was on its way when the process died.
CRASHES = {
    "before it is archived": ("SELECT CAST(now() AS text)", 1),
    "before it is detached": ("DETACH", 1),
    "while it is detached": ("COMMENT ON TABLE", 1),
    "before it is compared": ("SELECT sha256", 1),
    "before it is dropped": ("DROP TABLE", 1),
    "between two tables": ("DETACH", 2),
    "before it is noted": ("INSERT INTO retention_run", 3),
}


@pytest.mark.parametrize("crash", CRASHES)
async def test_a_run_that_is_killed_loses_nothing(
    env: dict[str, str], old: AsyncEngine, folder: Path, crash: str
) -> None:
    """At each step: what the database has not is in an archive; the next run finishes, and no row is archived twice."""
    before = {table: await rows(old, table) for table in ("orders", "order_timeline")}

    killed = await _killed(env, *CRASHES[crash])
    assert killed.code == -signal.SIGKILL
    assert (await app(env, "retention run")).code == 0

    assert await count(old, "orders") == await count(old, "order_timeline") == 0
    for table, rows_before in before.items():
        assert await _archived(old, folder, table) == rows_before
    assert not await exists(old, PARTITION)


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_run_that_is_killed_among_held_rows_loses_nothing(
    env: dict[str, str], old: AsyncEngine, folder: Path, nth: int
) -> None:
    """Between two transactions that delete; held rows are where they were."""
    await app(env, "retention hold acme --reason matter")
    before = await rows(old, "orders")
    goes, stays = ([row for row in before if f",{tenant}," in row] for tenant in ("globex", "acme"))

    assert (await _killed(env, "DELETE FROM", nth)).code == -signal.SIGKILL
    assert (await app(env, "retention run")).code == 0

    assert await rows(old, "orders") == stays
    archived = await _archived(old, folder, "orders")
    assert set(archived) == set(goes)


async def test_a_month_that_was_put_back_is_no_success(env: dict[str, str], old: AsyncEngine) -> None:
    """It is held since the run that was cut off; the next one keeps it, and is."""
    await _killed(env, "DROP TABLE", 1)
    await app(env, "retention hold acme --reason matter")
    put_back = await app(env, "retention run")
    kept = await app(env, "retention run")

    assert (put_back.code, put_back.out.count('"retention.month_put_back"')) == (1, 1)
    assert "not all that is due was removed of orders;" in put_back.err
    assert (kept.code, await count(old, PARTITION)) == (0, 1_200)


async def test_only_one_run_is_at_work(env: dict[str, str], old: AsyncEngine) -> None:
    """The other one says so, and has done nothing."""
    async with old.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        ended = await app(env, "retention run")

    assert (ended.code, ended.err) == (1, "app: another run is at work\n")
    assert await count(old, "orders") == 2_500


async def test_a_run_removes_some_months_and_says_that_more_are_due(env: dict[str, str], old: AsyncEngine) -> None:
    """A clock that runs years ahead does not empty a table; what is left is no success."""
    await given_months(old, Month(2020, 1), Month(2020, 5), Month(2021, 1))

    first = await app({**env, "APP_RETENTION__MONTHS_PER_RUN": "5"}, "retention run")
    assert first.code == 1
    assert "not all that is due was removed of orders, order_timeline, audit_log" in first.err
    assert first.out.count('"retention.month_dropped"') == 15
    assert await count(old, "retention_run") == 0

    assert (await app(env, "retention run")).code == 0
    assert await count(old, "retention_run") == 3


async def test_what_goes_wrong_with_one_table_is_said_and_the_others_go_on(
    env: dict[str, str], old: AsyncEngine
) -> None:
    """Here somebody holds the one; the table's last success stays what it was."""
    async with old.connect() as holder:
        await holder.execute(text("SELECT FROM orders LIMIT 1"))
        hasty = {"APP_PARTITIONS__ATTEMPTS": "2", "APP_PARTITIONS__LOCK_TIMEOUT_SECONDS": "0.05"}
        ended = await app({**env, **hasty}, "retention run")

    assert ended.code == 1
    assert ended.err.endswith("not all that is due was removed of orders; see the log, and run it again\n")
    assert '"retention.failed"' in ended.out
    assert await count(old, "retention_run", "table_name <> 'orders'") == await count(old, "retention_run") == 2


@pytest.mark.parametrize(
    ("command", "without", "said"),
    [
        ("retention run", "APP_RETENTION__ARCHIVE_URL", "not all that is due was removed of orders, order_timeline"),
        (
            "retention archives",
            "APP_RETENTION__ARCHIVE_URL",
            "there is no storage: APP_RETENTION__ARCHIVE_URL is not set",
        ),
        ("retention verify orders/2020-01/1", "", "is missing: there is no such archive"),
        ("retention verify ../escape", "", "an archive's name is letters"),
        ("retention restore orders/2020-01/1 --into restored", "", "is missing: there is no such archive"),
        ("retention restore secrets/1 --into restored", "", "'secrets', like which to make it, has no rule"),
        ("retention restore orders/2020-01/1 --into 'a; b'", "", "a table's name is of a-z, 0-9 and _"),
        ("retention release 7", "", "no hold 7 is in force"),
        ("retention hold '' --reason matter", "", "PostgreSQL refuses: "),
    ],
)
async def test_a_mistake_is_one_line(
    env: dict[str, str], old: AsyncEngine, command: str, without: str, said: str
) -> None:
    """And nothing has happened."""
    ended = await app({name: value for name, value in env.items() if name != without}, command)

    assert ended.code != 0
    assert said in ended.err.splitlines()[-1]
    assert await count(old, "orders") == 2_500
    assert not await exists(old, "restored")


async def test_the_service_itself_cannot_remove_anything(env: dict[str, str], old: AsyncEngine) -> None:
    """Its login owns no table; PostgreSQL's reason is one line."""
    ended = await app({**env, "APP_MIGRATIONS__DATABASE_URL": env["APP_DATABASE__URL"]}, "retention run")

    assert ended.code == 1
    assert re.search(r"PostgreSQL refuses: .*(permission denied|must be owner)", ended.err)
    assert await count(old, "orders") == 2_500


async def _killed(env: dict[str, str], marker: str, nth: int) -> Ended:
    """Run `app retention run` until it dies before the nth statement with the marker."""
    return await run_python(env, "-m", "tests.support.crashing_command", marker, str(nth), "retention", "run")


async def _archived(engine: AsyncEngine, folder: Path, table: str) -> list[str]:
    """Return the rows of all archives of a table."""
    store = FolderStore(folder)
    found: list[str] = []
    for name in await archive.archives(store, f"{table}/"):
        await run(engine, f"CREATE TABLE restored (LIKE {table})")
        async with engine.connect() as connection:
            await archive.restore(connection, store, name, "restored")
        found += await rows(engine, "restored")
        await run(engine, "DROP TABLE restored")
    return sorted(found)
