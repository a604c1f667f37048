"""What Prometheus knows, asked over HTTP, with one deadline for all questions together."""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, Field, ValidationError


class NotKnown(Exception):
    """Nothing can be said; the message is one line that says why."""


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
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
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

    def _ask(self, what: str, parameters: Mapping[str, str | float]) -> list[Series]:
        response = self._response(f"{self._url}/api/v1/{what}", parameters)
        if not response.is_success:
            raise NotKnown(f"Prometheus answered {response.status_code} {response.reason_phrase}".rstrip())
        try:
            answer = _Answer.model_validate_json(response.content)
        except ValidationError:
            raise NotKnown("what answered does not speak as Prometheus does: look at the address") from None
        if answer.warnings:  # part of the data is missing
            raise NotKnown(f"Prometheus answered with a warning: {answer.warnings[0]}")
        return answer.data.series()

    def _response(self, url: str, parameters: Mapping[str, str | float]) -> httpx.Response:
        """Ask in a thread that is left behind at the deadline.

        httpx limits each step, so a server that sends a byte now and then has no end; and nothing limits a look-up of
        a name.
        """
        now = time.monotonic()
        self._deadline = self._deadline or now + self._timeout_seconds
        left = max(self._deadline - now, 0)
        answers: queue.SimpleQueue[httpx.Response | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(httpx.get(url, params=dict(parameters), headers=self._headers, timeout=left))
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                answers.put(exc)

        threading.Thread(target=ask, name="ask-prometheus", daemon=True).start()
        try:
            answer = answers.get(timeout=left)
        except queue.Empty:
            answer = httpx.ReadTimeout("")
        if isinstance(answer, httpx.TimeoutException):
            raise NotKnown(f"Prometheus did not answer within {self._timeout_seconds:g} s")
        if isinstance(answer, Exception):
            raise NotKnown(f"Prometheus cannot be asked: {answer}")
        return answer


def read_token(path: Path | None) -> str | None:
    """Return the bearer token of a file, if there is a file.

    Raises:
        NotKnown: it cannot be read, or nothing is in it.
    """
    if path is None:
        return None
    try:
        token = path.read_text().strip()
    except (OSError, ValueError) as exc:
        raise NotKnown(f"the token cannot be read: {exc}") from exc
    if not token:
        raise NotKnown(f"{path} holds no token")
    return token


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
