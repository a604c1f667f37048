"""ops/slo.yaml, read and checked against the metrics that the code declares."""

import importlib
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.kit.instruments import DECLARED
from dev.environment import ROOT
from dev.ops.durations import Duration, seconds
from dev.ops.lines import Document, Place

SOURCE = ROOT / "ops" / "slo.yaml"
_DAY = 86_400
Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z].+\.$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BurnRate(_Part):
    """One pair of windows that alerts."""

    severity: Literal["page", "ticket"]
    long: Duration
    short: Duration
    budget_percent: float = Field(gt=0, lt=100)
    for_: Duration = Field(alias="for")

    def factor(self, window_days: int) -> Fraction:
        """Return how many times too fast the budget is spent."""
        share = Fraction(str(self.budget_percent)) / 100
        return share * window_days * _DAY / seconds(self.long)

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if seconds(self.short) >= seconds(self.long):
            raise ValueError(f"short must be shorter than long, which is {self.long}")
        return self


class Events(_Part):
    """What is counted."""

    metric: str
    where: dict[str, str] = {}


class Slo(_Part):
    """One promise."""

    promise: Sentence
    impact: Sentence = Field(description="What users notice when it is broken.")
    objective: float = Field(gt=0, lt=100)
    events: Events
    bad: dict[str, str] = {}
    within_seconds: float | None = None
    min_bad_events: int = Field(ge=1)

    @property
    def budget(self) -> Fraction:
        """The share of events that may be bad."""
        return 1 - Fraction(str(self.objective)) / 100

    @model_validator(mode="after")
    def _bad_in_one_way(self) -> Self:
        if bool(self.bad) == (self.within_seconds is not None):
            raise ValueError("say either `bad` or `within_seconds`")
        return self


class Slos(_Part):
    """All of them."""

    window_days: int = Field(ge=7, le=90)
    burn_rates: tuple[BurnRate, ...] = Field(min_length=1, strict=False)
    slos: dict[Name, Slo] = Field(min_length=1)


def read(document: Document | None = None) -> Slos:
    """Return the service levels.

    Raises:
        BadSource: with the line and the reason of each mistake.
    """
    document = document or Document(SOURCE)
    found = document.read(Slos)
    if mistakes := list(_mistakes(found)):
        raise document.mistakes(mistakes)
    return found


def _mistakes(found: Slos) -> Iterator[tuple[Place, str]]:
    bounds = _bounds()
    for name, slo in found.slos.items():
        metric, at = slo.events.metric, ("slos", name)
        if metric not in bounds:
            yield (*at, "events", "metric"), f"{metric} is no histogram of this service; see docs/metrics.md"
            continue
        known = DECLARED[metric].labels
        for place, labels in (((*at, "events", "where"), slo.events.where), ((*at, "bad"), slo.bad)):
            for label, value in labels.items():
                if label not in known:
                    yield (*place, label), f"{metric} has no label {label}, but {', '.join(known) or 'none'}"
                elif place[-1] == "bad" and not _is_regex(value):
                    yield (*place, label), f"{value!r} is no regular expression"
        if slo.within_seconds is not None and slo.within_seconds not in bounds[metric]:
            written = ", ".join(map(str, bounds[metric]))
            yield (
                (*at, "within_seconds"),
                f"{slo.within_seconds} is no bound of a bucket of {metric}; these are: {written}",
            )
        for index, rate in enumerate(found.burn_rates):
            factor = rate.factor(found.window_days)
            if factor * slo.budget >= 1:
                ratio = (
                    f"{float(factor):g} times the budget of {name} is {float(factor * slo.budget):.0%} of all events"
                )
                yield ("burn_rates", index), f"it cannot be reached: {ratio}"


def _bounds() -> dict[str, tuple[float, ...]]:
    """Return the bounds of each histogram that the code of the service declares."""
    for module in ("app.main", "app.worker"):
        importlib.import_module(module)
    return {name: declared.bounds for name, declared in DECLARED.items() if declared.bounds}


def _is_regex(value: str) -> bool:
    try:
        re.compile(value)
    except re.error:
        return False
    return True
