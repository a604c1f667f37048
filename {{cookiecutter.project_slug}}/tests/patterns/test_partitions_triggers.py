"""patterns/partitions: a month has the statement triggers of its table, and what moves into it meets none."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.clock import ManualClock
from app.patterns.partitions import PartitionSettings, make_ahead
from tests.support.plain_owner import plain_owner

SETTINGS = PartitionSettings(months_ahead=1)
CLOCK = ManualClock(datetime(2026, 11, 15, tzinfo=UTC))
TABLE = (
    "CREATE TABLE parcel (at timestamptz, id bigint GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (at)",
    "CREATE TABLE parcel_default PARTITION OF parcel DEFAULT",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no %'', TG_NAME; END'",
    "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER of_rows BEFORE DELETE ON parcel FOR EACH ROW EXECUTE FUNCTION lose()",
    "INSERT INTO parcel (at) VALUES ('2026-11-02'), ('2027-02-02'), ('2026-11-03')",
)
MADE_SO = "BEFORE DELETE OR UPDATE OF at OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse('::on')"
STATES = {"always": "ENABLE ALWAYS", "as usual": "ENABLE", "off": "DISABLE", "replica": "ENABLE REPLICA"}
TRIGGERS = text("""
    SELECT tgname, CAST(tgenabled AS text), pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal ORDER BY tgname
""")


@pytest.fixture
async def parcels(engine: AsyncEngine) -> AsyncEngine:
    """Return a database with a table whose triggers, and those of its default partition, are in every state."""
    await run(engine, *TABLE)
    for table in ("parcel", "parcel_default"):
        for name, state in STATES.items():
            await run(engine, f'CREATE TRIGGER "{name}" {MADE_SO.format(table=table)}')
            await run(engine, f'ALTER TABLE {table} {state} TRIGGER "{name}"')
    return engine


async def test_a_month_has_the_triggers_of_its_table(parcels: AsyncEngine) -> None:
    """With their arguments and columns, and each enabled as it is there."""
    await make_ahead(parcels, SETTINGS, CLOCK)

    wanted = [
        (name, state, said.replace("public.parcel ", "TABLE ")) for name, state, said in await of(parcels, "parcel")
    ]
    assert [name for name, _, _ in wanted] == ["always", "as usual", "of_rows", "off", "replica"]
    for month in ("parcel_2026_11", "parcel_2026_12"):
        found = await of(parcels, month)
        assert [(name, state, said.replace(f"public.{month} ", "TABLE ")) for name, state, said in found] == wanted


async def test_rows_move_past_triggers_that_refuse(parcels: AsyncEngine) -> None:
    """A plain owner moves them, with their ids; afterwards the default partition's triggers are as they were."""
    before = await of(parcels, "parcel_default")
    async with plain_owner(parcels) as owner:
        await make_ahead(owner, SETTINGS, CLOCK)

    async with parcels.connect() as connection:
        rows = await connection.execute(text("SELECT id, CAST(tableoid::regclass AS text) FROM parcel ORDER BY id"))
        assert rows.all() == [(1, "parcel_2026_11"), (2, "parcel_default"), (3, "parcel_2026_11")]
    assert await of(parcels, "parcel_default") == before


@pytest.mark.parametrize("change", ["UPDATE {0} SET tenant_id = 'globex'", "DELETE FROM {0}", "TRUNCATE {0}"])
@pytest.mark.parametrize("mode", ["origin", "replica"])
@pytest.mark.parametrize("partition", ["audit_log_2026_11", "audit_log_default"])
async def test_no_month_of_the_audit_log_can_be_changed(
    engine: AsyncEngine, partition: str, mode: str, change: str
) -> None:
    """The second wall stands around each partition: also for who addresses it directly, and replays other changes."""
    await make_ahead(engine, SETTINGS, CLOCK)
    async with engine.connect() as connection:
        await connection.execute(text(f"SET LOCAL session_replication_role = {mode}"))
        with pytest.raises(DBAPIError, match=f"{partition} is only appended to"):
            await connection.execute(text(change.format(partition)))


async def run(engine: AsyncEngine, *statements: str) -> None:
    """Run statements as a superuser."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement.replace(":", "\\:")))


async def of(engine: AsyncEngine, table: str) -> list[tuple[str, str, str]]:
    """Return the triggers of a table: name, state, and how they were made."""
    async with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in await connection.execute(TRIGGERS, {"table": table})]
