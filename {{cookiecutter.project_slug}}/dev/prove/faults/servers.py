"""Processes that go away, hang, leak, or come back too often."""

import asyncio

from dev.prove.fault import fault
from dev.prove.lane import Lane

_RESTART = ("WorkerDown", "OutboxLagging")  # where a start takes seconds, which here are minutes


@fault("ServiceDown", "servers")
async def every_http_process_is_killed(lane: Lane) -> None:
    """Every HTTP process is killed with SIGKILL, and nothing starts another."""
    for replica in lane.deployments["http"]:
        assert replica.process
        replica.process.kill()


@fault("WorkerDown", "servers", companions=("OutboxLagging",))
async def every_worker_is_killed(lane: Lane) -> None:
    """Every worker is killed with SIGKILL, and nothing starts another."""
    for replica in lane.deployments["worker"]:
        assert replica.process
        replica.process.kill()


@fault("CrashLooping", "servers", companions=_RESTART, patience_seconds=60)
async def a_worker_ends_soon_after_each_start(lane: Lane) -> None:
    """A release whose worker ends 1.5 s after each start, and is started again each time."""
    (worker,) = lane.deployments["worker"]
    assert worker.process
    worker.bad_release = "dies-soon"
    worker.process.kill()
    lane.tasks.append(asyncio.create_task(lane.keep_alive(worker)))


@fault("EventLoopBlocked", "servers", severity="ticket", companions=_RESTART)
async def a_worker_blocks_its_event_loop(lane: Lane) -> None:
    """A release whose worker spends two thirds of its time in calls that do not give way."""
    await lane.release("worker", "blocks")


@fault("WorkerJobCrashing", "servers", severity="ticket", companions=_RESTART)
async def a_job_ends_with_a_bug(lane: Lane) -> None:
    """A release in which a job of the worker ends with a KeyError each time."""
    await lane.release("worker", "crashes-a-job")


@fault("MemoryWillExhaust", "servers", severity="ticket", companions=_RESTART, patience_seconds=40)
async def a_worker_leaks(lane: Lane) -> None:
    """A release whose worker leaks 20 MB a second."""
    await lane.release("worker", "leaks")
