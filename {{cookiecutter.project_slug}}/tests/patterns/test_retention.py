"""patterns/retention: rules are read and refused, holds are placed and released, and the last run is told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import retention
from app.patterns.tenancy import JOBS_ROLE, USER_ROLE
from app.retention import rules
from tests.support.audit import acting_as
from tests.support.eventually import eventually

END = datetime(2026, 11, 1, tzinfo=UTC)


def test_rules_are_read() -> None:
    """A table each, with what is not said left out."""
    found = retention.parse(
        '[orders]\nkeep_days = 30\nthen = "archive"\n[inbox]\nkeep_days = 1\nthen = "drop"\nunless = "x"'
    )

    assert found["orders"] == retention.Rule(keep_days=30, then="archive", unless=None)
    assert found["inbox"].unless == "x"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("[orders]\nkeep_days = 0\nthen = 'drop'", "orders.keep_days"),
        ("[orders]\nkeep_days = '30'\nthen = 'drop'", "orders.keep_days"),
        ("[orders]\nkeep_days = 30", "orders.then"),
        ("[orders]\nkeep_days = 30\nthen = 'delete'", "orders.then"),
        ("[orders]\nkeep_days = 30\nthen = 'drop'\nafter = 3", "orders.after"),
        ("[orders]\nkeep_days = 30\nthen = 'drop'\nunless = ''", "orders.unless"),
        ("['orders; --']\nkeep_days = 30\nthen = 'drop'", "orders; --"),
        ("[orders]\nkeep_days = 30\n[orders]", "these are no rules"),
        ("orders", "these are no rules"),
    ],
)
def test_a_mistake_is_refused_by_the_name_of_its_key(body: str, wrong: str) -> None:
    """Nothing is removed by rules that were meant otherwise."""
    with pytest.raises(retention.BadRules, match=wrong):
        retention.parse(body)


def test_the_rules_of_this_service_are_rules() -> None:
    """Each says for how long."""
    assert all(rule.keep_days > 30 for rule in rules().values())


@pytest.mark.parametrize(
    ("now", "due"), [(END + timedelta(days=30), True), (END + timedelta(days=29, hours=23), False)]
)
def test_what_is_so_old_is_due(now: datetime, *, due: bool) -> None:
    """To the moment."""
    assert retention.Rule(keep_days=30, then="drop").is_due(END, now) is due


@pytest.mark.parametrize(
    ("unless", "of_tenants", "stay"),
    [
        (None, True, {"held"}),
        ("n > 2", True, {"held", "many"}),
        ("n > 2", False, {"many"}),
        (None, False, set()),
    ],
)
async def test_the_condition_is_never_unknown(
    engine: AsyncEngine, unless: str | None, *, of_tenants: bool, stay: set[str]
) -> None:
    """A row stays or it goes, also where a column is NULL."""
    async with engine.connect() as connection:
        await retention.place(connection, "held", "a matter")
        await retention.release(connection, await retention.place(connection, "released", "another"))
        rows = "(VALUES ('held', 1), ('many', 3), ('few', 1), ('released', NULL), (NULL, 1)) AS t (tenant_id, n)"
        condition = retention.kept(unless, of_tenants=of_tenants)
        kept = await connection.scalars(text(f"SELECT tenant_id FROM {rows} WHERE {condition}"))  # noqa: S608
        others = await connection.scalars(text(f"SELECT tenant_id FROM {rows} WHERE NOT {condition}"))  # noqa: S608

        assert set(kept) == stay
        assert set(others) == {"held", "many", "few", "released", None} - stay


async def test_holds_are_listed_with_who_placed_them(engine: AsyncEngine) -> None:
    """A released one is not forgotten; several may hold one tenant."""
    async with engine.begin() as connection:
        first, second = [await retention.place(connection, "acme", reason) for reason in ("a matter", "another")]
        await retention.release(connection, first)
        (hold,) = await retention.holds(connection)
        every = await retention.holds(connection, released=True)

        login = await connection.scalar(text("SELECT session_user"))
        assert (hold.id, hold.tenant, hold.reason, hold.placed_by) == (second, "acme", "another", login)
        assert [(it.id, it.released_by) for it in every] == [(first, login), (second, None)]


@pytest.mark.parametrize("hold", [1, 99])
async def test_only_a_hold_in_force_is_released(engine: AsyncEngine, hold: int) -> None:
    """And once."""
    async with engine.connect() as connection:
        await retention.release(connection, await retention.place(connection, "acme", "a matter"))
        with pytest.raises(retention.NoSuchHold, match=f"no hold {hold} is in force"):
            await retention.release(connection, hold)


@pytest.mark.parametrize("role", [USER_ROLE, JOBS_ROLE])
@pytest.mark.parametrize(
    "statement", ["SELECT FROM legal_hold", "DELETE FROM legal_hold", "UPDATE retention_run SET completed_at = now()"]
)
async def test_the_service_has_no_right_to_them(database_url: str, role: str, statement: str) -> None:
    """Whoever takes over a process cannot see whose rows are held, nor let them go."""
    async with acting_as(role, database_url) as service, service.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(statement))


async def test_the_gauge_tells_the_last_run_to_the_end(engine: AsyncEngine, database_url: str) -> None:
    """Per table with a rule: 0 if there was none; a later one counts."""
    async with acting_as(JOBS_ROLE, database_url) as jobs:
        watch = retention.Watch(jobs, ["orders", "order_timeline"])
        for _ in range(2):
            async with engine.begin() as connection:
                await retention.completed(connection, "orders")
                before = float(await connection.scalar(text("SELECT extract(epoch FROM transaction_timestamp())")) or 0)
            await watch.look()

            assert _gauge("order_timeline") == 0
            assert before <= _gauge("orders") < before + 60


async def test_the_watch_survives_a_broken_database() -> None:
    """It says so, and ends when it is told to."""
    nowhere = DatabaseSettings.model_validate({"url": "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere"})
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(retention.Watch(create_engine(nowhere, application_name="test"), []).run(stop))
        await eventually(lambda: logs)
        stop.set()
        await running

    assert [line["event"] for line in logs] == ["retention.unknown"]


def _gauge(table: str) -> float:
    value = REGISTRY.get_sample_value("retention_last_success_timestamp_seconds", {"table": table})
    assert value is not None
    return value
