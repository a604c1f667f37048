"""What Prometheus knows, asked over HTTP, with one deadline for all questions together."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from dev.http_client import NotKnown, ask


@dataclass(frozen=True, slots=True)
class Series:
    """One row of an answer: its labels, and its values with their moments in seconds of Unix time."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def value(self) -> float:
        """The last value."""
        return self.points[-1][1]


class PrometheusApi:
    """Questions to one Prometheus, the first of which starts the clock for all."""

    def __init__(self, url: str, *, token: str | None = None, timeout_seconds: float = 5) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._deadline: float | None = None

    def query(self, expression: str, *, at: float | None = None) -> list[Series]:
        """Return what an instant query finds, now or at a moment.

        Raises:
            NotKnown: no answer in time, or none that can be relied on.
        """
        return self._ask("query", {"query": expression} | ({} if at is None else {"time": at}))

    def query_range(self, expression: str, *, start: float, end: float, step: float) -> list[Series]:
        """Return what a query finds at each step of a time.

        Raises:
            NotKnown: no answer in time, or none that can be relied on.
        """
        return self._ask("query_range", {"query": expression, "start": start, "end": end, "step": step})

    def _ask(self, what: str, params: Mapping[str, str | float]) -> list[Series]:
        now = time.monotonic()
        self._deadline = self._deadline or now + self._timeout_seconds
        url = f"{self._url}/api/v1/{what}"
        left = max(self._deadline - now, 0)
        content = ask("Prometheus", "GET", url, timeout_seconds=left, token=self._token, params=params)
        try:
            answer = _Answer.model_validate_json(content)
        except ValidationError:
            raise NotKnown("what answered does not speak as Prometheus does: look at the address") from None
        if answer.warnings:  # part of the data is missing
            raise NotKnown(f"Prometheus answered with a warning: {answer.warnings[0]}")
        return answer.data.series()


class _Sample(BaseModel):
    metric: dict[str, str]
    value: tuple[float, float]


class _Samples(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]] = Field(min_length=1)


class _Vector(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's word
    result: list[_Sample]

    def series(self) -> list[Series]:
        return [Series(row.metric, [row.value]) for row in self.result]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815 - Prometheus's word
    result: list[_Samples]

    def series(self) -> list[Series]:
        return [Series(row.metric, row.values) for row in self.result]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Vector | _Matrix = Field(discriminator="resultType")
    warnings: list[str] = []
