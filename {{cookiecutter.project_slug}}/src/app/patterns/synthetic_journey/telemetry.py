"""Metrics of journeys; each name is spelled here and nowhere else in the code.

Only the process that tries them may import this: in any other one these series would say 0 for ever.
"""

from collections.abc import Iterable

from app.kit.instruments import counter, gauge, histogram

from .steps import Reason

_JOURNEYS = 3
_STEPS = 10
SUCCEEDED, FAILED = OUTCOMES = ("success", "failure")

RUNS = counter("synthetic_journey_runs_total", "Runs that were judged.", {"journey": _JOURNEYS, "outcome": OUTCOMES})
SUCCESS = gauge("synthetic_journey_success", "Whether the last run succeeded.", {"journey": _JOURNEYS})
STEP_SUCCESS = gauge(
    "synthetic_journey_step_success",
    "Whether this step of the last run succeeded; 0 also where the run did not come so far.",
    {"journey": _JOURNEYS, "step": _STEPS},
)
STEP_FAILURES = counter(
    "synthetic_journey_step_failures_total",
    "Runs that failed at this step.",
    {"journey": _JOURNEYS, "step": _STEPS, "reason": tuple(Reason)},
    limit=300,  # room for all: each exists from the start
)
STEP_DURATION = histogram(
    "synthetic_journey_step_duration_seconds",
    "Duration of a step, whatever came of it.",
    {"journey": _JOURNEYS, "step": _STEPS},
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5, 10.5),
)
LAST_SUCCESS = gauge(
    "synthetic_journey_last_success_timestamp_seconds",
    "End of the last run that succeeded; 0 if none has since the process began.",
    {"journey": _JOURNEYS},
)
INTERVAL = gauge("synthetic_journey_interval_seconds", "From one run to the next.", {"journey": _JOURNEYS})


def initialise(journey: str, steps: Iterable[str], *, interval_seconds: float) -> None:
    """Make the series exist before the first run: its failure is then an increase that rate() sees."""
    INTERVAL.labels(journey).set(interval_seconds)
    for one_per_journey in (SUCCESS, LAST_SUCCESS):
        one_per_journey.labels(journey).set(0)
    for outcome in OUTCOMES:
        RUNS.labels(journey, outcome)
    for step in steps:
        STEP_SUCCESS.labels(journey, step).set(0)
        STEP_DURATION.labels(journey, step)
        for reason in Reason:
            STEP_FAILURES.labels(journey, step, reason)
