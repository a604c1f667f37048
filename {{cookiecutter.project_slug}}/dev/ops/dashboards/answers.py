"""What a Prometheus answers to the targets of a panel, as series with the names of their legends."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from dev.ops.dashboards.model import filled

_POINTS = 150


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a graph, one number of a stat, or one row of a table."""

    name: str
    points: list[tuple[float, float]]
    labels: str = ""
    """Its labels' values, for a table."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one service, for so many seconds until now."""

    prometheus: str
    service: str
    seconds: float
    rate_interval: str

    def of(self, target: dict[str, Any], now: float) -> Iterator[Series]:
        """Yield what is found for a target of a panel.

        Raises:
            httpx.HTTPStatusError: Prometheus takes the query for a mistake.
        """
        asked = {"query": filled(target["expr"], service=self.service, rate_interval=self.rate_interval)}
        if target["instant"]:
            path, times = "query", {"time": str(now)}
        else:
            step = f"{self.seconds / _POINTS:.3f}"
            path, times = "query_range", {"start": str(now - self.seconds), "end": str(now), "step": step}
        answer = httpx.get(f"{self.prometheus}/api/v1/{path}", params=asked | times, timeout=20).raise_for_status()
        for found in answer.json()["data"]["result"]:
            values = found.get("values") or [found["value"]]
            numbers = [(float(at), float(value)) for at, value in values]
            drawn = [(at, value) for at, value in numbers if math.isfinite(value)]
            if drawn:
                yield Series(_name(target["legendFormat"], found["metric"]), drawn, " ".join(found["metric"].values()))


def _name(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()
