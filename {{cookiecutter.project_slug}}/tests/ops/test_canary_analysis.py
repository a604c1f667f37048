"""A release is judged as its AnalysisTemplate says, by a real Prometheus that scrapes good pods and bad ones."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dev.environment import project_name
from dev.http_server import serving
from dev.monitoring import Prometheus
from dev.ops import slos
from dev.ops.generated import FOLDER
from dev.ops.selectors import declare_all, mistakes
from dev.prometheus_api import PrometheusApi
from tests.support.eventually import eventually
from tests.support.recorded_series import given

LEVELS = slos.read()
REQUESTS = {name: slo for name, slo in LEVELS.slos.items() if slo.is_request}
TEMPLATE: dict[str, Any] = yaml.safe_load((FOLDER / "canary" / "analysis-template.yaml").read_text())
METRICS: dict[str, dict[str, Any]] = {metric["name"]: metric for metric in TEMPLATE["spec"]["metrics"]}
CONDITION = re.compile(r"len\(result\) == (\d+) && result\[0\] == (\d+)")
Z = NormalDist().inv_cdf(1 - LEVELS.canary.alpha)
# By pod: requests at each scrape, and the share of them that is an error, or slow.
PODS = {
    "http-stable-a": (3000, 0.0005, 0.001),
    "http-stable-b": (3000, 0.0005, 0.001),
    "http-good-a": (2000, 0.0005, 0.001),
    "http-errors-a": (2000, 0.01, 0.001),
    "http-slow-a": (2000, 0.0005, 0.05),
    "http-few-a": (2, 0.5, 0.5),
}
AVAILABILITY = {name for name, slo in REQUESTS.items() if slo.within_seconds is None}
LATENCY = REQUESTS.keys() - AVAILABILITY
# Events on the canary and beside it, and how many of those beside it are bad.
EDGES = [(500, 1500, 1), (500, 4500, 3), (2000, 6000, 0), (2000, 6000, 40), (501, 500, 7)]


def verdict(metric: dict[str, Any], result: list[float]) -> str:
    """Return what Argo Rollouts makes of an answer: a failure before a success, and else inconclusive."""
    if holds(metric["failureCondition"], result):
        return "failure"
    return "success" if holds(metric["successCondition"], result) else "inconclusive"


def holds(condition: str, result: list[float]) -> bool:
    """Evaluate a condition of this form; one of another form fails the test."""
    found = CONDITION.fullmatch(condition)
    assert found, condition
    return len(result) == int(found[1]) and result[0] == int(found[2])


def question(name: str, *, canary: str, window: str) -> str:
    """Return a level's query, with the arguments in their places."""
    text = str(METRICS[name]["provider"]["prometheus"]["query"])
    for argument, value in {"canary": canary, "stable": "stable", "window": window}.items():
        text = text.replace(f"{{{{args.{argument}}}}}", value)
    assert "{{" not in text
    return text


def page(pod: str, counted: Counter[str]) -> str:
    """Return what a pod exposes after so many requests of each kind."""
    lines = []
    for slo in REQUESTS.values():
        if slo.within_seconds is None:
            continue
        own = ",".join(f'{label}="{value}"' for label, value in slo.events.where.items())
        errors, slow, all_ = counted["errors"], counted["slow"], counted["all"]
        for status, count, late in (("200", all_ - errors, slow), ("500", errors, 0)):
            labels = f'{own},http_response_status_code="{status}"'
            yes = f'{labels},le="{slo.within_seconds}"'
            lines += [f"http_server_request_duration_seconds_count{{{labels}}} {count}"]
            lines += [f"http_server_request_duration_seconds_bucket{{{yes}}} {count - late}"]
    assert lines, pod
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def scraping(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Yield a Prometheus that scrapes all pods, and those of another service that look like ours."""
    tool("prometheus")
    counted: dict[str, Counter[str]] = {}

    async def answer(request: Request) -> Response:
        pod = request.path_params["pod"]
        all_, errors, slow = PODS.get(pod, (2000, 1.0, 0.0))
        so_far = counted.setdefault(pod, Counter())
        so_far["all"] += all_
        so_far["errors"] = int(so_far["all"] * errors)
        so_far["slow"] = int(so_far["all"] * slow)
        return PlainTextResponse(page(pod, so_far))

    with serving(Starlette(routes=[Route("/{pod}", answer)])) as url:
        others = [("http-good-of-another", "another"), ("http-stable-of-another", "another")]
        targets = [*((pod, project_name()) for pod in PODS), *others]
        server = Prometheus(
            tmp_path_factory.mktemp("canary"),
            {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                "scrape_configs": [
                    {
                        "job_name": pod,
                        "metrics_path": f"/{pod}",
                        "static_configs": [
                            {
                                "targets": [url.removeprefix("http://")],
                                "labels": {"service": service, "instance": pod},
                            }
                        ],
                    }
                    for pod, service in targets
                ],
            },
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.mark.parametrize(
    ("canary", "worse"),
    [
        pytest.param("good", set(), id="a good release goes on"),
        pytest.param("errors", AVAILABILITY, id="one percent of errors goes back"),
        pytest.param("slow", LATENCY, id="a slow one goes back"),
    ],
)
async def test_a_release_is_judged(scraping: Prometheus, canary: str, worse: set[str]) -> None:
    """Exactly the levels that it hurts fail, and all others succeed."""

    def judged() -> dict[str, str] | None:
        answers = {name: rows(scraping, name, canary) for name in METRICS}
        enough = scraping.query(
            f'sum(http_server_request_duration_seconds_count{{instance="http-{canary}-a"}}) > 12000'
        )
        return {name: verdict(METRICS[name], answer) for name, answer in answers.items()} if enough else None

    found = await eventually(judged, within_seconds=60)

    assert found == {name: "failure" if name in worse else "success" for name in METRICS}


@pytest.mark.parametrize("canary", ["few", "none"])
async def test_a_release_that_hardly_anybody_uses_is_not_judged(scraping: Prometheus, canary: str) -> None:
    """Too few events, or no pod at all: neither success nor failure, however bad they are."""
    await eventually(lambda: rows(scraping, "buy-latency", "good"), within_seconds=60)

    assert {name: verdict(METRICS[name], rows(scraping, name, canary)) for name in METRICS} == dict.fromkeys(
        METRICS, "inconclusive"
    )


def rows(server: Prometheus, name: str, canary: str) -> list[float]:
    """Return the values that a level's query finds."""
    return [row.value for row in server.query(question(name, canary=canary, window="60s"))]


def test_every_level_that_is_about_a_request_is_asked_for() -> None:
    """By queries that count what there is, over the time that the source says."""
    declare_all()

    assert METRICS.keys() == REQUESTS.keys()
    for name, metric in METRICS.items():
        assert [*mistakes(question(name, canary="abc", window="10m"))] == []
        assert metric["initialDelay"] == LEVELS.canary.within
    assert {"name": "window", "value": LEVELS.canary.within} in TEMPLATE["spec"]["args"]


@pytest.fixture(scope="module")
def recorded(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, float]]:
    """Yield a Prometheus that has seen pods on both sides of each edge, and when."""
    tool("prometheus")
    folder = tmp_path_factory.mktemp("edges")
    now = time.time() // 1 - 60
    series = []
    where = REQUESTS["buy-availability"].events.where
    for number, (c, s, y) in enumerate(EDGES):
        least = edge(c, s, y)
        for pod, all_, bad in ((f"at{number}", c, least), (f"below{number}", c, least - 1), (f"old{number}", s, y)):
            for status, count in (("200", all_ - bad), ("500", bad)):
                labels = {"service": project_name(), "instance": f"http-{pod}-x", "http_response_status_code": status}
                points = [(now - back, 0.0 if back > 20 else float(count)) for back in range(600, -1, -10)]
                series.append(("http_server_request_duration_seconds_count", {**where, **labels}, points))
    given(folder, series)
    server = Prometheus(folder, {})
    server.start()
    try:
        yield server, now
    finally:
        server.stop()


@pytest.mark.parametrize("number", range(len(EDGES)), ids=[f"{y} of {s}, beside {c}" for c, s, y in EDGES])
def test_prometheus_decides_as_arithmetic_does(recorded: tuple[Prometheus, float], number: int) -> None:
    """One bad event fewer than the least that is too many is a success."""
    server, now = recorded

    def judged(canary: str) -> str:
        asked = question("buy-availability", canary=canary, window="10m").replace("http-stable-", f"http-old{number}-")
        answer = PrometheusApi(server.url, timeout_seconds=60).query(asked, at=now)
        return verdict(METRICS["buy-availability"], [series.value for series in answer])

    assert (judged(f"at{number}"), judged(f"below{number}")) == ("failure", "success")


@pytest.mark.parametrize("share", [0.0005, 0.001, 0.003, 0.01, 0.05])
@pytest.mark.parametrize(("c", "s"), [(500, 500), (500, 1500), (500, 4500), (2000, 4500)])
def test_chance_alone_rarely_sends_a_release_back(c: int, s: int, share: float) -> None:
    """Two equal sides look unequal in about the share `alpha` of cases, also where bad events are few."""
    most_x, most_y = (int(n * share + 12 * math.sqrt(n * share) + 20) for n in (c, s))
    by_x, by_y = binomial(c, share, most_x), binomial(s, share, most_y)

    wrong = sum(by_x[x] * by_y[y] for x in range(most_x) for y in range(most_y) if is_worse(x, c, y, s, budget=0.001))

    assert wrong <= 2.1 * LEVELS.canary.alpha


def is_worse(x: int, c: int, y: int, s: int, *, budget: float) -> bool:
    """Decide as the template does, by its formula as it is found in books."""
    if x / c <= budget:
        return False
    pooled = (x + y) / (c + s)
    error = math.sqrt(pooled * (1 - pooled) * (1 / c + 1 / s))
    return x / c - y / s - (1 / c + 1 / s) / 2 > Z * error


def edge(c: int, s: int, y: int) -> int:
    """Return the least number of bad events on the canary that is too many."""
    return next(x for x in range(c) if is_worse(x, c, y, s, budget=0.001))


def binomial(n: int, share: float, most: int) -> list[float]:
    """Return the probabilities of 0 to `most` bad events."""
    found = [(1 - share) ** n]
    for k in range(1, most + 1):
        found.append(found[-1] * (n - k + 1) / k * share / (1 - share))
    return found
