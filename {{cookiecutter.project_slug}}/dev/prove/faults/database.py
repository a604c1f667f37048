"""The database, its replica, and what its tables consist of."""

import asyncio

from dev.prove.data_lane import data
from dev.prove.fault import fault
from dev.prove.lane import Lane

_BUY = ("BuyAvailabilityBudgetBurn", "BuyLatencyBudgetBurn")
_BURNS = (*_BUY, "ReadOrderAvailabilityBudgetBurn", "ReadOrderLatencyBudgetBurn", "ErrorBudgetExhausted")
# The worker looks for open orders, and its statement is ended like those of customers. And a pool that is full tells
# late where the primary's log is: a replica seems up to two seconds later than it is, which matters only if scaled.
_BY_A_LOCK = ("AuditSealingLate", "ReplicationLagHigh", "WorkerJobCrashing")
# What statements end with is a label: an outage makes series that the worker, which has most of them, keeps until it
# is started anew, and then it has more than planned.
_BY_AN_OUTAGE = ("ReplicationLagHigh", "ReplicaUnused", "AuditExportFailing", "SeriesBudgetExceeded")
_REVISION_BEFORE = "0005_audit_log"


@fault("ReplicationLagHigh", "data", severity="ticket", companions=("ReplicaUnused",))
async def replay_is_paused(lane: Lane) -> None:
    """Replay is paused on the replica, as for a backup that somebody forgot to end."""
    data(lane).query_replica("SELECT pg_wal_replay_pause()")


async def _start_replica(lane: Lane) -> None:
    await data(lane).start_standby()


@fault("ReplicaUnused", "data", severity="ticket", heal=_start_replica, companions=("ReplicationLagHigh",))
async def the_replica_is_killed(lane: Lane) -> None:
    """The replica is killed with SIGKILL, and for a while nothing starts it."""
    await data(lane).kill_standby()


@fault("SchemaOutOfDate", "data", severity="ticket")
async def a_migration_is_missing(lane: Lane) -> None:
    """The newest migration is taken back, as if a release had come without it."""
    if await lane.run("migrate-down", "migrate", "down", _REVISION_BEFORE):
        raise RuntimeError(" ".join(lane.said("migrate-down")[-1:]))


@fault("PartitionsMissing", "data", severity="ticket")
async def months_are_missing(lane: Lane) -> None:
    """The furthest month of orders is not there, as when the daily run has not come for a month."""
    last = """
        SELECT max(inhrelid::regclass::text) FROM pg_inherits
        WHERE inhparent = 'orders'::regclass AND inhrelid::regclass::text <> 'orders_default'
    """
    month = await asyncio.to_thread(lane.query, last)
    await asyncio.to_thread(lane.query, f"DROP TABLE {month}")


@fault("PartitionDefaultRows", "data", severity="ticket")
async def an_import_brings_old_orders(lane: Lane) -> None:
    """An import brings orders of a month for which there is no partition."""
    imported = """
        INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, version)
        SELECT uuidv7(interval '-2 months'), 'acme', 'pending', 'EUR', 2500, '[]', now() - interval '2 months', 1
        FROM generate_series(1, 20)
    """
    await asyncio.to_thread(lane.query, imported)


@fault("RetentionLate", "data", severity="ticket")
async def retention_does_not_run(lane: Lane) -> None:
    """The last run that removed what was due was three days ago."""
    runs = """
        INSERT INTO retention_run (table_name, completed_at) VALUES ('orders', now() - interval '3 days')
        ON CONFLICT (table_name) DO UPDATE SET completed_at = excluded.completed_at
    """
    await asyncio.to_thread(lane.query, runs)


@fault("DatabaseAccessRefused", "data", severity="security", companions=_BURNS, aftermath=_BURNS)
async def a_release_writes_for_another_tenant(lane: Lane) -> None:
    """A release writes orders for another tenant than the one of the request, on one of two instances."""
    await lane.release("http", "writes-for-another-tenant")


@fault("DatabasePoolSaturated", "data", severity="ticket", companions=(*_BURNS, *_BY_A_LOCK), aftermath=_BURNS)
async def a_session_holds_a_lock(lane: Lane) -> None:
    """A session locks the table of orders, and does something else before it ends its transaction."""
    lock = "LOCK TABLE orders IN EXCLUSIVE MODE"
    data(lane).session("careless", "BEGIN", lock, "SELECT pg_sleep(3600)")


async def _start_database(lane: Lane) -> None:
    await data(lane).start_primary()


@fault(
    "DatabaseDown",
    "data",
    heal=_start_database,
    companions=(*_BURNS, *_BY_AN_OUTAGE),
    aftermath=(*_BURNS, "SeriesBudgetExceeded"),
)
async def the_database_is_killed(lane: Lane) -> None:
    """PostgreSQL is killed with SIGKILL, and for a while nothing starts it."""
    await data(lane).kill_primary()
