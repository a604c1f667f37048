"""From a request to a proof: what somebody did is in the audit log, sealed, exported, shown and verified."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.kit.ids import random_hex
from app.patterns.audit_log import merkle
from dev.postgres import PostgreSQL
from tests.journeys.conftest import NewService
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines, service_process


@pytest.fixture(scope="module")
def audited(new_service: NewService, tmp_path_factory: pytest.TempPathFactory) -> RunningService:
    """Return the whole service; it seals and exports without delay."""
    url = f"file://{tmp_path_factory.mktemp('audit')}"
    impatient = {"APP_AUDIT_LOG__SEAL_SECONDS": "0.1", "APP_AUDIT_LOG__EXPORT_SECONDS": "0.1"}
    service = new_service(APP_AUDIT_LOG__EXPORT_URL=url, **impatient)
    asyncio.run(service.start("serve", "worker"))
    return service


async def test_a_cancelled_order_leaves_its_trail(audited: RunningService, postgres: PostgreSQL) -> None:
    """Who cancelled it, in which request and trace, is sealed and exported within moments; what is changed is named."""
    request_id = random_hex()
    async with audited.client(tenant="acme") as client:
        order_id = (await client.post("/v1/orders", json=ORDER)).json()["id"]
        cancelled = await client.post(f"/v1/orders/{order_id}/cancel", headers={"x-request-id": request_id})
    (line,) = await request_lines(audited.serve, request_id)

    async def proven() -> list[dict[str, Any]] | None:
        _, shown = await app(audited, f"audit show acme order/{order_id} --proof")
        entries = [json.loads(entry) for entry in shown if entry.startswith('{"entry"')]
        return entries if len(entries) == 3 and all(entry["proof"] for entry in entries) else None

    released, by_request, placed = await eventually(proven, within_seconds=60)
    entry = json.loads(by_request["entry"])
    assert cancelled.status_code == 200
    assert (entry["action"], entry["resource_id"]) == ("order.cancelled", order_id)
    assert (entry["tenant"], entry["actor"]) == ("acme", "customer-7")
    assert (entry["request_id"], entry["trace_id"]) == (request_id, line["trace_id"])
    assert entry["before"] == json.loads(placed["entry"])["after"] != entry["after"]
    assert json.loads(released["entry"])["actor"] == "settlement"
    assert root_of(by_request) == by_request["proof"]["seal"]["root"]

    await eventually(lambda: len(exported(audited)) or None)
    assert await app(audited, "audit export") == (0, ["0 segments exported"])
    assert await app(audited, "audit verify") == (0, ["the audit log is what was sealed"])

    number = by_request["proof"]["seal"]["number"]
    postgres.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL", database=audited.database)
    changed = "UPDATE audit_log SET actor = 'somebody' WHERE action = 'order.cancelled'"
    postgres.execute(changed, database=audited.database)
    code, lines = await app(audited, "audit verify --tenant acme")
    position = f"database: tenant acme, segment {number}, entry {by_request['proof']['index'] + 1} (id {entry['id']})"
    assert code == 1
    assert lines[0] == f"{position}: edited"
    assert await app(audited, "audit verify --export-only") == (0, ["the audit log is what was sealed"])


def exported(service: RunningService) -> list[Path]:
    """Return the files of the export."""
    return list(Path(service.env["APP_AUDIT_LOG__EXPORT_URL"].removeprefix("file://")).glob("acme/*.json"))


def root_of(shown: dict[str, Any]) -> str:
    """Return the root that an entry leads to by its proof."""
    proof = shown["proof"]
    path = [bytes.fromhex(node) for node in proof["path"]]
    return merkle.root_from(merkle.leaf(shown["entry"].encode()), proof["index"], proof["size"], path).hex()


async def app(service: RunningService, command: str) -> tuple[int, list[str]]:
    """Run a command to its end, and return its exit status and what it wrote."""
    run = service_process(command, service.env)
    run.start()
    code = await asyncio.to_thread(run.process.wait, timeout_seconds=60)
    return code, run.lines
