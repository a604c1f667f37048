"""The telemetry of the real service under everyday load stays within its budget; waste does not."""

import sys
from collections.abc import Callable

import pytest

from app.telemetry_cost import bill, report
from app.telemetry_usage import REQUESTS, SPANS, Snapshot, Usage, measure, scrape
from dev.environment import machine_variables
from dev.telemetry_policy.places import read
from tests.journeys.conftest import NewService
from tests.support import load_profile
from tests.support.eventually import eventually
from tests.support.running_service import RunningService
from tests.support.service_process import ServiceProcess

POLICY = read()
ROUNDS = 20  # 200 requests


async def measured(service: RunningService) -> Usage:
    """Return what 200 requests leave behind in a service that has seen one of each kind before."""
    await load_profile.send(service, rounds=1)

    async def sealed() -> bool:  # the worker's slowest job has done each of its statements once
        samples = await service.samples(service.worker_url)
        return any(sample.name == "audit_entries_sealed_total" and sample.value > 0 for sample in samples)

    await eventually(sealed, within_seconds=30)
    before = await scraped(service)
    await load_profile.send(service, rounds=ROUNDS)
    return measure(before, await scraped(service))


async def scraped(service: RunningService) -> dict[str, Snapshot]:
    """Return a scrape of both processes when all spans are out: they are sent a moment after the answer."""
    seen: list[dict[str, Snapshot]] = []

    def when_quiet() -> dict[str, Snapshot] | None:
        seen.append(scrape([service.url, service.worker_url]))
        spans = [sum(total(snapshot, SPANS) for snapshot in snapshots.values()) for snapshots in seen[-2:]]
        traced = spans[-1] >= sum(total(snapshot, REQUESTS) for snapshot in seen[-1].values())
        return seen[-1] if traced and len(spans) == 2 and spans[0] == spans[1] else None

    return await eventually(when_quiet, within_seconds=30, every_seconds=0.5)


def total(snapshot: Snapshot, counter: str) -> float:
    """Return what a process has counted so far."""
    return sum(snapshot.counted[counter].values())


def over_budget(usage: Usage) -> list[str]:
    """Return what is over budget, and print the report: pytest shows it when the test fails."""
    rows = bill(usage, POLICY, requests_per_second=POLICY.assumed.requests_per_second, head_ratio=1.0)
    print("\n".join(report(usage, rows, POLICY, POLICY.assumed.requests_per_second)))
    return [row.title for row in rows if row.over]


@pytest.fixture
def wasteful(new_service: NewService) -> Callable[[str], RunningService]:
    """Return a function that gives a service whose HTTP process wastes something."""

    def start(waste: str) -> RunningService:
        service = new_service()
        argv = (sys.executable, "-m", "tests.support.wasteful_service", waste, "serve")
        service.processes["serve"] = ServiceProcess("serve", argv, {**machine_variables(), **service.env})
        service.serve.start()
        return service

    return start


async def test_everyday_load_stays_within_the_budget(new_service: NewService) -> None:
    """200 requests, good and bad ones, cost at most what the policy allows for them, and make no new series."""
    service = new_service()  # with its usual patience: settling what a slow machine left open would be other load
    await service.start("serve", "worker")

    usage = await measured(service)

    assert over_budget(usage) == []
    assert usage.requests == ROUNDS * load_profile.REQUESTS_PER_ROUND


@pytest.mark.parametrize(
    ("waste", "over"),
    [pytest.param("line", ["log bytes", "log lines"], id="line"), pytest.param("label", ["new series"], id="label")],
)
async def test_waste_breaks_the_budget(wasteful: Callable[[str], RunningService], waste: str, over: list[str]) -> None:
    """One more line per request, or a label that clients choose: each is over budget, and nothing else is."""
    service = wasteful(waste)
    await service.serve.wait_until_ready(f"{service.url}/readyz", within_seconds=60)
    await service.start("worker")

    assert over_budget(await measured(service)) == over
