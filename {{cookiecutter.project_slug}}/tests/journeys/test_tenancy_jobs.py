"""What works across tenants, relay, replay and export, keeps them apart; and the login of requests gets at none."""

import asyncio
import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from app.kit.ids import uuid7
from app.kit.object_storage import FolderStore
from app.patterns.audit_log import archive
from app.patterns.tenancy import JOBS_ROLE
from tests.support.app_command import app, operators_variables
from tests.support.audit import acting_as, exporter, given_entries, seal_all, sealer_of
from tests.support.eventually import eventually
from tests.support.outbox import parked_rows
from tests.support.running_service import ORDER, RunningService
from tests.support.tenancy import ATTACKER, VICTIM, seed

_PARKED = text("""
    INSERT INTO outbox_parked (id, lane, event_id, tenant_id, aggregate, type, envelope, created_at, attempts, reason)
    SELECT coalesce(max(id), 0) + 1, 0, CAST(:id AS uuid), :tenant, :tenant, :type,
           CAST(:envelope AS jsonb), now(), 10, ''
    FROM outbox_parked
""")
_TIMELINE = text("SELECT tenant_id, type FROM order_timeline WHERE order_id = CAST(:order_id AS uuid)")
SOMETHING = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "command",
    [
        "outbox list",
        "outbox list --waiting",
        f"outbox show {SOMETHING}",
        "outbox replay --all",
        f"outbox drop {SOMETHING} --yes",
        f"audit show {VICTIM}",
        "audit verify",
        "audit export",
    ],
)
async def test_the_login_of_requests_is_refused_what_crosses_tenants(
    engine: AsyncEngine, database_url: str, tmp_path: Path, command: str
) -> None:
    """Whoever gets hold of it: the database refuses, in one line that names no customer, and nothing has moved."""
    await seed(engine)
    env = operators_variables(database_url)
    stolen = {"APP_DATABASE__JOBS_URL": env["APP_DATABASE__URL"], "APP_AUDIT_LOG__EXPORT_URL": f"file://{tmp_path}"}

    ended = await app({**env, **stolen}, command)

    assert ended.code == 1
    assert re.search(r"^app: PostgreSQL refuses.*permission denied to set role", ended.err, re.MULTILINE)
    assert not re.search(f"{VICTIM}|{ATTACKER}", ended.out + ended.err)
    assert len(await parked_rows(engine)) == 2
    assert _files(tmp_path) == []


async def test_a_replay_gives_nobody_another_tenants_event(service: RunningService) -> None:
    """Parked events of two tenants about one order go back at once: each reaches its own tenant's history."""
    victim, attacker = (f"{name}-{uuid4().hex[:8]}" for name in ("victim", "attacker"))
    async with service.client(tenant=victim) as client:
        order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        await service.in_state(client, order_id, "placed", "order.placed")
    settings = DatabaseSettings.model_validate({"url": service.addresses.database_url})
    owner = create_engine(settings, application_name="test")
    replayed = {await _park(owner, tenant, order_id) for tenant in (attacker, victim)}

    ended = await app(service.env, "outbox replay " + " ".join(replayed))
    assert ended.code == 0, ended
    await eventually(lambda: replayed <= {line["event_id"] for line in service.worker.logged("inbox.message_handled")})

    async with service.client(tenant=victim) as client:
        order = await service.order(client, order_id)
    assert [entry["type"] for entry in order["history"]] == ["order.placed", "order.cancelled"]
    async with owner.connect() as connection:
        found = await connection.execute(_TIMELINE, {"order_id": order_id})
        assert sorted((row.tenant_id, row.type) for row in found) == [
            (attacker, "order.cancelled"),
            (victim, "order.cancelled"),
            (victim, "order.placed"),
        ]
    await owner.dispose()


@pytest.mark.parametrize("neighbour", ["globex", "acme-2", "acme/", "acme/..", "..", ".", "%61cme", "ACME", "acme\n"])
async def test_an_exported_object_holds_one_tenants_entries(
    engine: AsyncEngine, database_url: str, tmp_path: Path, neighbour: str
) -> None:
    """By name and by content, whatever a neighbour is called, though both wrote at the same time."""
    folder = tmp_path / "export"
    async with acting_as(JOBS_ROLE, database_url) as jobs_engine, sealer_of(engine) as sealer:
        await asyncio.gather(*(given_entries(engine, *range(5), tenant=tenant) for tenant in ("acme", neighbour)))
        await seal_all(sealer)
        store = FolderStore(folder)
        await exporter(jobs_engine, store).export_once()
        names = await store.names("")
        owners: dict[str, list[str]] = {archive.tenant_of(name): [] for name in names}
        for name in names:
            if name.endswith(".ndjson"):
                segments, _ = archive.parse(await store.get(name) or b"")
                for segment in segments:
                    owners[archive.tenant_of(name)] += [segment.seal.tenant, *map(_tenant, segment.lines)]

    assert {tenant: set(found) for tenant, found in owners.items()} == {"acme": {"acme"}, neighbour: {neighbour}}
    assert [path for path in _files(tmp_path) if folder not in path.parents] == []


async def _park(owner: AsyncEngine, tenant: str, order_id: str) -> str:
    """Put an event of `tenant` about that order among the parked ones, whosever the order is, and return its id."""
    event_id, type_ = str(uuid7()), "order.cancelled"
    told = {"specversion": "1.0", "id": event_id, "source": "/orders", "type": type_, "tenant": tenant}
    about = {"subject": order_id, "time": "2026-01-01T00:00:00Z", "data": {}}
    row = {"id": event_id, "tenant": tenant, "type": type_, "envelope": json.dumps(told | about)}
    async with owner.begin() as connection:
        await connection.execute(_PARKED, row)
    return event_id


def _tenant(line: bytes) -> str:
    return str(json.loads(line)["tenant"])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
