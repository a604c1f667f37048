"""Processes and servers that go away, hang or come back too often."""

import asyncio

from dev.prove.fault import fault
from dev.prove.lane import Lane

_BURNS = ("BuyAvailabilityBudgetBurn", "ReadOrderAvailabilityBudgetBurn", "BuyLatencyBudgetBurn")


@fault("ServiceDown", "servers")
async def every_http_process_is_killed(lane: Lane) -> None:
    """Every HTTP process is killed with SIGKILL, and nothing starts another."""
    for replica in lane.deployments["http"]:
        assert replica.process
        replica.process.kill()


@fault("WorkerDown", "servers")
async def every_worker_is_killed(lane: Lane) -> None:
    """Every worker is killed with SIGKILL, and nothing starts another."""
    for replica in lane.deployments["worker"]:
        assert replica.process
        replica.process.kill()


@fault("DatabaseDown", "servers", companions=_BURNS, aftermath=_BURNS)
async def the_database_is_killed(lane: Lane) -> None:
    """PostgreSQL is killed with SIGKILL."""
    await asyncio.to_thread(lane.postgres.kill)
