"""ops/slo.yaml, read and checked against the metrics that the code declares."""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from app.kit.instruments import DECLARED, Declaration
from dev.environment import ROOT
from dev.ops.durations import Duration, seconds
from dev.ops.lines import Document, Place
from dev.ops.parts import Name, Part, Sentence
from dev.ops.selectors import declare_all

SOURCE = ROOT / "ops" / "slo.yaml"
_DAY = 86_400


class BurnRate(Part):
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


class Events(Part):
    """What is counted."""

    metric: str
    where: Mapping[str, str] = Field(default_factory=dict)

    @property
    def counter(self) -> str:
        """The series that counts them: a histogram has one for that."""
        return f"{self.metric}_count" if _is_histogram(self.metric) else self.metric


class Slo(Part):
    """One promise."""

    promise: Sentence
    impact: Sentence = Field(description="What users notice when it is broken.")
    objective: float = Field(gt=0, lt=100)
    events: Events
    bad: dict[str, str] = Field({}, max_length=1)
    within_seconds: float | None = None
    min_bad_events: int = Field(ge=1)

    @property
    def budget(self) -> Fraction:
        """The share of events that may be bad."""
        return 1 - Fraction(str(self.objective)) / 100

    @property
    def is_request(self) -> bool:
        """Whether it is about one route, which a client can ask for."""
        return {"http_request_method", "http_route"} <= self.events.where.keys()

    @model_validator(mode="after")
    def _bad_in_one_way(self) -> Self:
        if bool(self.bad) == (self.within_seconds is not None):
            raise ValueError("say either `bad` or `within_seconds`")
        return self


class Canary(Part):
    """What it takes to judge a canary."""

    min_events: int = Field(ge=1)
    alpha: float = Field(gt=0, lt=0.5)
    within: Duration


class Slos(Part):
    """All of them."""

    window_days: int = Field(ge=7, le=90)
    burn_rates: tuple[BurnRate, ...] = Field(min_length=1, strict=False)
    canary: Canary
    slos: dict[Name, Slo] = Field(min_length=1)


def read(document: Document | None = None) -> Slos:
    """Return the service levels.

    Raises:
        BadSource: with the line and the reason of each mistake.
    """
    return (document or Document(SOURCE)).read(Slos, _mistakes)


def _mistakes(found: Slos) -> Iterator[tuple[Place, str]]:
    declare_all()
    for name, slo in found.slos.items():
        at = ("slos", name)
        metric = DECLARED.get(slo.events.metric)
        if metric is None or metric.kind not in ("histogram", "counter"):
            why = f"{slo.events.metric} is neither a histogram nor a counter of this service; see docs/metrics.md"
            yield (*at, "events", "metric"), why
            continue
        yield from _wrong_labels((*at, "events", "where"), slo.events.metric, metric, slo.events.where, re.escape)
        yield from _wrong_labels((*at, "bad"), slo.events.metric, metric, slo.bad, str)
        if slo.within_seconds is not None and slo.within_seconds not in metric.bounds:
            these = f"these are: {', '.join(map(str, metric.bounds))}" if metric.bounds else "it has none"
            yield (
                (*at, "within_seconds"),
                f"{slo.within_seconds} is no bound of a bucket of {slo.events.metric}; {these}",
            )
        for index, rate in enumerate(found.burn_rates):
            share = rate.factor(found.window_days) * slo.budget
            if share >= 1:
                factor = float(rate.factor(found.window_days))
                why = f"it cannot be reached: {factor:g} times the budget of {name} is {float(share):.0%} of all events"
                yield ("burn_rates", index), why


def _wrong_labels(
    place: Place, name: str, metric: Declaration, chosen: Mapping[str, str], pattern: Callable[[str], str]
) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with a choice of series, whose values `pattern` turns into regular expressions."""
    for label, value in chosen.items():
        if label not in metric.labels:
            yield (*place, label), f"{name} has no label {label}, but {', '.join(metric.labels) or 'none'}"
            continue
        try:
            matches = re.compile(pattern(value)).fullmatch
        except re.error:
            yield (*place, label), f"{value!r} is no regular expression"
            continue
        values = metric.labels[label]
        if not isinstance(values, int) and not any(map(matches, values)):
            yield (*place, label), f"{value!r} is none of its values: {', '.join(values)}"


def _is_histogram(metric: str) -> bool:
    return metric in DECLARED and DECLARED[metric].kind == "histogram"
