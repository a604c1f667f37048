"""patterns/synthetic_journey: when runs begin, and how they stop."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.kit.clock import ManualClock
from app.patterns.synthetic_journey import Journey, Step
from app.patterns.synthetic_journey.journey import next_due
from tests.support.eventually import eventually
from tests.support.outbox import Counted

NAME = "test"


def journey_of(take: Callable[[], Awaitable[object]], clock: ManualClock | None = None) -> Journey:
    """Return a journey of one step, every minute."""
    return Journey(NAME, [Step("first", take)], interval_seconds=60, step_timeout_seconds=3600, clock=clock)


@pytest.mark.parametrize(
    ("takes_seconds", "expected"),
    [
        pytest.param(0, [0, 60, 120, 180, 240], id="no time"),
        pytest.param(59, [0, 60, 120, 180, 240], id="almost an interval"),
        pytest.param(60, [0, 60, 120, 180, 240], id="an interval"),
        pytest.param(61, [0, 120, 240, 360, 480], id="longer than an interval"),
        pytest.param(130, [0, 180, 360, 540, 720], id="longer than two"),
    ],
)
async def test_runs_keep_the_beat(takes_seconds: float, expected: list[float]) -> None:
    """However long a run takes, the next begins on a multiple of the interval: no drift, no overlap, no catching up."""
    clock, stop = ManualClock(), asyncio.Event()
    began: list[float] = []
    at_work = 0

    async def step() -> None:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        began.append(clock.monotonic())
        await asyncio.sleep(0)
        clock.advance(takes_seconds)
        at_work -= 1
        if len(began) == len(expected):
            stop.set()

    await journey_of(step, clock).run(stop)

    assert began == expected


@pytest.mark.parametrize(
    ("now", "expected"), [(100.0, 160.0), (159.9, 160.0), (160.0, 160.0), (160.1, 220.0), (1000.0, 1000.0)]
)
def test_the_next_run_is_due_on_the_beat(now: float, expected: float) -> None:
    """The run of second 100 ended `now`: what has passed is left out."""
    assert next_due(100, now, interval_seconds=60) == expected


async def test_stopping_ends_a_run_in_hand() -> None:
    """At once, though its step may take an hour; it is neither a success nor a failure."""
    stop, begun, dropped = asyncio.Event(), asyncio.Event(), asyncio.Event()
    outcomes = [Counted("synthetic_journey_runs_total", journey=NAME, outcome=name) for name in ("success", "failure")]

    async def hanging() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    running = asyncio.create_task(journey_of(hanging).run(stop))
    await begun.wait()
    stop.set()
    async with asyncio.timeout(30):
        await running

    assert dropped.is_set()
    assert [counted.more for counted in outcomes] == [0, 0]


async def test_stopping_ends_the_wait_for_the_next_run() -> None:
    """Nobody waits for the minute to be over."""
    stop, done = asyncio.Event(), asyncio.Event()
    counted = Counted("synthetic_journey_runs_total", journey=NAME, outcome="success")

    async def step() -> None:
        done.set()

    running = asyncio.create_task(journey_of(step).run(stop))
    await done.wait()
    await eventually(lambda: counted.more)
    stop.set()
    async with asyncio.timeout(30):
        await running

    assert counted.more == 1
