"""The audit log: what is done to it, and what keeps it from being sealed and exported."""

import asyncio
import time
from pathlib import Path

from dev.prove.data_lane import data
from dev.prove.fault import fault
from dev.prove.lane import Lane

_EXPORTS_SECONDS = 2.0
"""In which a lane exports several times."""


@fault("AuditSealingLate", "data", severity="ticket")
async def a_writing_transaction_stays_open(lane: Lane) -> None:
    """Somebody's report has written a table, and its transaction stays open."""
    report = "CREATE TEMPORARY TABLE report AS SELECT count(*) FROM orders"
    data(lane).session("report", "BEGIN", report, "SELECT pg_sleep(3600)")


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.aside")


async def _bring_the_storage_back(lane: Lane) -> None:
    folder = data(lane).export
    folder.unlink()
    _aside(folder).rename(folder)


@fault("AuditExportFailing", "data", severity="ticket", heal=_bring_the_storage_back)
async def the_storage_refuses(lane: Lane) -> None:
    """The storage of the audit log's export refuses every object."""
    folder = data(lane).export
    folder.rename(_aside(folder))
    folder.write_text("")  # not by its mode: root may write everywhere


_CHANGE = """
    ALTER TABLE {month} DISABLE TRIGGER USER;
    UPDATE {month} SET actor = {actor} WHERE {which} RETURNING id;
    ALTER TABLE {month} ENABLE ALWAYS TRIGGER audit_log_refuse_change
"""
_SEALED_AND_NOT_EXPORTED = """
    id = (
        SELECT min(s.last_id) FROM audit_seal s
        WHERE s.number > (SELECT coalesce(max(number), 0) FROM audit_export e WHERE e.tenant_id = s.tenant_id)
    )
"""
_FORGED = "actor LIKE '~%'"


async def _change(lane: Lane, actor: str, which: str) -> str:
    month = lane.query("SELECT tableoid::regclass FROM audit_log ORDER BY id DESC LIMIT 1")
    return await asyncio.to_thread(lane.query, _CHANGE.format(month=month, actor=actor, which=which))


async def _put_back(lane: Lane) -> None:
    """Make the entry what it was: what a backup is for."""
    await _change(lane, "substr(actor, 2)", _FORGED)


@fault("AuditLogDamaged", "data", severity="security", heal=_put_back, patience_seconds=90)
async def a_superuser_changes_an_entry(lane: Lane) -> None:
    """A superuser puts another actor into an entry that is sealed and has not yet left the database."""
    async with asyncio.timeout(30):
        while True:
            entry = await _change(lane, "'~' || actor", _SEALED_AND_NOT_EXPORTED)
            if entry and not await _leaves(lane, entry):
                return
            await _put_back(lane)  # nothing waited, or an export was at work that had read the entry before


async def _leaves(lane: Lane, entry: str) -> bool:
    """Tell whether an entry is exported within the next few exports."""
    exported = f"SELECT FROM audit_export JOIN audit_seal USING (tenant_id, number) WHERE last_id >= {int(entry)}"
    deadline = time.monotonic() + _EXPORTS_SECONDS
    while time.monotonic() < deadline:
        if lane.query(f"SELECT EXISTS ({exported})") == "t":
            return True
        await asyncio.sleep(0.1)
    return False
