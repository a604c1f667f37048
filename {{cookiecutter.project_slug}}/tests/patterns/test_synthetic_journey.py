"""patterns/synthetic_journey: steps in order, each with a timeout, and what is told of a run."""

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from app.kit import context
from app.patterns.synthetic_journey import Journey, Reason, Step, StepFailed, expect
from tests.support.log_lines import configured_log
from tests.support.outbox import Counted

NAME = "test"
NAMES = ("first", "second", "third", "tidy")


class Traveller:
    """Takes steps, and does at each what the test says."""

    def __init__(self, **does: Exception | Callable[[], object]) -> None:
        self.does = does
        self.taken: list[str] = []
        self.request_ids: set[str] = set()

    def journey(self, *, step_timeout_seconds: float = 60) -> Journey:
        """Return a journey of three steps, and one that is always taken."""
        steps = [Step(name, self._step(name), always=name == "tidy") for name in NAMES]
        return Journey(NAME, steps, interval_seconds=60, step_timeout_seconds=step_timeout_seconds)

    def _step(self, name: str) -> Callable[[], "asyncio.Future[None]"]:
        async def take() -> None:
            self.taken.append(name)
            self.request_ids.add(context.current().request_id)
            done = self.does.get(name)
            if isinstance(done, Exception):
                raise done
            if done:
                await asyncio.Event().wait()

        return lambda: asyncio.ensure_future(take())


def gauges() -> Mapping[str, float]:
    """Return what is shown of the last run: its steps, and the whole under the journey's name."""
    steps = {
        name: REGISTRY.get_sample_value("synthetic_journey_step_success", {"journey": NAME, "step": name})
        for name in NAMES
    }
    shown = {**steps, NAME: REGISTRY.get_sample_value("synthetic_journey_success", {"journey": NAME})}
    return {name: value for name, value in shown.items() if value is not None}


async def test_a_run_takes_every_step_in_order() -> None:
    """It is counted as a success, step by step, with its end; and all its requests carry one id."""
    traveller = Traveller()
    runs = Counted("synthetic_journey_runs_total", journey=NAME, outcome="success")
    took = Counted("synthetic_journey_step_duration_seconds_count", journey=NAME, step="third")

    await traveller.journey().run_once()

    assert tuple(traveller.taken) == NAMES
    assert gauges() == dict.fromkeys((*NAMES, NAME), 1)
    assert (runs.more, took.more) == (1, 1)
    assert (REGISTRY.get_sample_value("synthetic_journey_last_success_timestamp_seconds", {"journey": NAME}) or 0) > 0
    assert len(traveller.request_ids) == 1
    assert "" not in traveller.request_ids


async def test_the_first_failure_ends_the_run() -> None:
    """What comes later is not tried, and shown as 0; only what is always done is done."""
    traveller = Traveller(second=StepFailed(Reason.CONTENT, "another price"))
    failures = Counted("synthetic_journey_runs_total", journey=NAME, outcome="failure")
    step = Counted("synthetic_journey_step_failures_total", journey=NAME, step="second", reason="content")

    with configured_log() as log:
        await traveller.journey().run_once()
        lines = log.lines

    assert traveller.taken == ["first", "second", "tidy"]
    assert gauges() == {"first": 1, "second": 0, "third": 0, "tidy": 1, NAME: 0}
    assert (failures.more, step.more) == (1, 1)
    assert [(line["event"], line["level"]) for line in lines] == [("synthetic_journey.failed", "warning")]
    assert {"journey": NAME, "step": "second", "reason": "content", "detail": "another price"}.items() <= lines[
        0
    ].items()
    assert {lines[0]["request_id"]} == traveller.request_ids


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(StepFailed(Reason.STATUS, "answered with 500"), "status", id="status"),
        pytest.param(TimeoutError(), "timeout", id="timeout"),
        pytest.param(httpx.ReadTimeout(""), "timeout", id="timeout of the client"),
        pytest.param(httpx.ConnectError(""), "refused", id="no connection"),
        pytest.param(httpx.RemoteProtocolError(""), "refused", id="broken connection"),
        pytest.param(KeyError("id"), "unexpected", id="mistake in the step"),
    ],
)
async def test_a_failure_is_told_by_its_reason(error: Exception, reason: str) -> None:
    """Whatever a step raises is one of few reasons, and never ends the process."""
    counted = Counted("synthetic_journey_step_failures_total", journey=NAME, step="first", reason=reason)

    with configured_log() as log:
        await Traveller(first=error).journey().run_once()
        (line,) = log.lines

    assert counted.more == 1
    assert (line["step"], line["reason"]) == ("first", reason)
    assert ("exception" in line) == (reason == "unexpected")


async def test_a_step_that_hangs_ends_at_its_timeout() -> None:
    """The run goes on as after any other failure."""
    traveller = Traveller(second=lambda: "hangs")
    counted = Counted("synthetic_journey_step_failures_total", journey=NAME, step="second", reason="timeout")

    async with asyncio.timeout(10):
        await traveller.journey(step_timeout_seconds=0.01).run_once()

    assert counted.more == 1
    assert traveller.taken == ["first", "second", "tidy"]


async def test_what_follows_from_a_failure_is_not_counted_again() -> None:
    """Each failed run is one failure of one step, the first."""
    broken = StepFailed(Reason.STATUS, "answered with 503")
    runs = Counted("synthetic_journey_runs_total", journey=NAME, outcome="failure")
    first = Counted("synthetic_journey_step_failures_total", journey=NAME, step="first", reason="status")
    tidy = Counted("synthetic_journey_step_failures_total", journey=NAME, step="tidy", reason="status")

    await Traveller(first=broken, tidy=broken).journey().run_once()
    await Traveller(tidy=broken).journey().run_once()

    assert (runs.more, first.more, tidy.more) == (2, 1, 1)
    assert gauges() == {"first": 1, "second": 1, "third": 1, "tidy": 0, NAME: 0}


async def test_success_is_silent_except_after_a_failure() -> None:
    """One line when it is over, none for each run that is well."""
    traveller = Traveller(third=StepFailed(Reason.STATUS, "answered with 409"))
    journey = traveller.journey()

    with configured_log() as log:
        await journey.run_once()
        traveller.does = {}
        for _ in range(3):
            await journey.run_once()
        told = [(line["event"], line["level"]) for line in log.lines]

    assert told == [("synthetic_journey.failed", "warning"), ("synthetic_journey.recovered", "info")]


def test_every_series_is_there_before_the_first_run() -> None:
    """The first failure is then an increase."""
    Traveller().journey()
    shown = [("runs", {"outcome": "failure"})]
    shown += [("step_failures", {"step": step, "reason": reason}) for step in NAMES for reason in Reason]

    values = [
        REGISTRY.get_sample_value(f"synthetic_journey_{name}_total", {"journey": NAME, **labels})
        for name, labels in shown
    ]
    assert None not in values
    assert REGISTRY.get_sample_value("synthetic_journey_interval_seconds", {"journey": NAME}) == 60
    assert gauges() == dict.fromkeys((*NAMES, NAME), 0)


class Parcel(BaseModel):
    """What an answer should hold."""

    weight: int


@pytest.mark.parametrize(
    ("response", "reason", "detail"),
    [
        pytest.param(httpx.Response(503), "status", "answered with 503, and not with 200", id="status"),
        pytest.param(httpx.Response(200, text="<html>"), "content", "the answer: json_invalid", id="no JSON"),
        pytest.param(httpx.Response(200, json={"weight": "secret"}), "content", "weight: int_parsing", id="type"),
        pytest.param(httpx.Response(200, json={}), "content", "weight: missing", id="missing"),
    ],
)
def test_an_answer_is_held_against_what_a_customer_expects(response: httpx.Response, reason: str, detail: str) -> None:
    """What is wrong with it is told, and nothing of what it holds."""
    with pytest.raises(StepFailed) as failed:
        expect(response, Parcel)

    assert (failed.value.reason, failed.value.detail) == (reason, detail)
    assert expect(httpx.Response(200, json={"weight": 3, "more": 1}), Parcel).weight == 3
