"""The steps in order, and the runs in time."""

import asyncio
import math
from collections.abc import Coroutine, Sequence

import structlog

from app.kit import ids
from app.kit.clock import Clock, SystemClock
from app.kit.context import Context, bind

from . import telemetry
from .steps import Reason, Step, StepFailed, failure_of

_log = structlog.get_logger(__name__)


class Journey:
    """The same steps, again and again: never two runs at a time, and none longer than its steps may take."""

    def __init__(
        self,
        name: str,
        steps: Sequence[Step],
        *,
        interval_seconds: float,
        step_timeout_seconds: float,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._steps = steps
        self._interval_seconds = interval_seconds
        self._step_timeout_seconds = step_timeout_seconds
        self._clock = clock or SystemClock()
        self._failing = False
        telemetry.initialise(name, [step.name for step in steps], interval_seconds=interval_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Try the steps every interval until `stop` is set, which also ends a run in hand, at once and unjudged."""
        due = self._clock.monotonic()
        while not stop.is_set():
            await _unless_stopped(stop, self.run_once())
            now = self._clock.monotonic()
            due = next_due(due, now, interval_seconds=self._interval_seconds)
            await _unless_stopped(stop, self._clock.sleep(due - now))

    async def run_once(self) -> None:
        """Take one step after the other up to the first that fails, and then those that are always taken."""
        failed_at: Step | None = None
        failure: StepFailed | None = None
        succeeded = set()
        with bind(Context(request_id=ids.random_hex())):  # one id finds all requests of a run, in both logs
            for step in self._steps:
                if failure and not step.always:
                    continue
                ended_with = await self._take(step)
                if ended_with is None:
                    succeeded.add(step.name)
                elif failure is None:  # a later failure follows from the first, as a rule
                    failed_at, failure = step, ended_with
            self._judge(succeeded, failed_at, failure)

    async def _take(self, step: Step) -> StepFailed | None:
        begun = self._clock.monotonic()
        failure = None
        try:
            async with asyncio.timeout(self._step_timeout_seconds):
                await step.take()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the customer's step has failed
            failure = failure_of(exc, timeout_seconds=self._step_timeout_seconds)
        telemetry.STEP_DURATION.labels(self._name, step.name).observe(self._clock.monotonic() - begun)
        return failure

    def _judge(self, succeeded: set[str], failed_at: Step | None, failure: StepFailed | None) -> None:
        """Show what came of a run, all at once: nobody sees the half of one."""
        for step in self._steps:
            telemetry.STEP_SUCCESS.labels(self._name, step.name).set(step.name in succeeded)
        telemetry.SUCCESS.labels(self._name).set(failure is None)
        telemetry.RUNS.labels(self._name, telemetry.FAILED if failure else telemetry.SUCCEEDED).inc()
        if failed_at is None or failure is None:
            telemetry.LAST_SUCCESS.labels(self._name).set(self._clock.now().timestamp())
            if self._failing:
                _log.info("synthetic_journey.recovered", journey=self._name)
        else:
            telemetry.STEP_FAILURES.labels(self._name, failed_at.name, failure.reason).inc()
            _log.warning(
                "synthetic_journey.failed",
                journey=self._name,
                step=failed_at.name,
                reason=failure.reason,
                detail=failure.detail,
                exc_info=failure.__cause__ if failure.reason is Reason.UNEXPECTED else None,
            )
        self._failing = failure is not None


def next_due(due: float, now: float, *, interval_seconds: float) -> float:
    """Return when the run after the one of `due` begins: on the beat of the first, leaving out what has passed."""
    return due + interval_seconds * max(1, math.ceil((now - due) / interval_seconds))


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do `work` up to its end, or drop it as soon as `stop` is set."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    if not working.cancelled():
        working.result()
