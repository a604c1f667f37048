"""`make smoke` after a deployment: what works is seen, and whatever is not seen is named."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dev.delivery import smoke
from dev.http_server import serving
from dev.ops.selectors import declare_all, mistakes
from tests.support.watched_service import SERVICE, Watched

Tool = Callable[[str], str]
Smoke = Callable[..., tuple[int, str]]
ROW = {"metric": {"instance": "a"}, "value": [0, "1"]}


class StandIn:
    """A Prometheus that finds something for every expression but one."""

    def __init__(self) -> None:
        self.blind_for = ""
        self.status = 200

    def app(self) -> Starlette:
        """Return its HTTP side."""
        return Starlette(routes=[Route("/api/v1/query", self._answer)])

    async def _answer(self, request: Request) -> Response:
        found = [] if request.query_params["query"] == self.blind_for else [ROW]
        answer = {"status": "success", "data": {"resultType": "vector", "result": found}}
        return Response(json.dumps(answer), self.status)


@pytest.fixture
def stand_in() -> Iterator[tuple[StandIn, str]]:
    """Yield it and its address."""
    stand_in = StandIn()
    with serving(stand_in.app()) as url:
        yield stand_in, url


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Smoke:
    """Return a function that looks once, or as long as it is told, and returns the exit status and what was said."""

    def look(url: str, version: str = "dev", *more: str) -> tuple[int, str]:
        words = [version, "--prometheus", url, "--service", SERVICE, "--minutes", "0", "--every", "0.2", *more]
        status = smoke.main(words)
        said = capsys.readouterr()
        return status, said.out + said.err

    return look


def test_a_release_that_works_is_seen_to(live: Watched, look: Smoke) -> None:
    """By a real Prometheus in front of the running service: orders, events, journeys, log lines, traces."""
    assert look(live.prometheus.url, "dev", "--minutes", "1.5") == (0, f"smoke: {SERVICE} dev works, and is seen to.\n")


def test_what_another_release_does_is_not_taken_for_this_ones(live: Watched, look: Smoke) -> None:
    """The version before answers, but the new one is not there: nothing of it is seen."""
    status, said = look(live.prometheus.url, "1.4.0")

    assert status == 1
    assert [line.split("  ")[1] for line in said.splitlines() if line.startswith("NOT SEEN")] == [*smoke.CHECKS][:-1]


@pytest.mark.parametrize("check", smoke.CHECKS)
def test_what_is_not_seen_is_named(stand_in: tuple[StandIn, str], look: Smoke, check: str) -> None:
    """Each alone makes it a failure."""
    server, url = stand_in
    server.blind_for = smoke.filled(smoke.CHECKS[check], SERVICE, "dev")

    status, said = look(url)

    assert status == 1
    assert [line for line in said.splitlines() if line.startswith("NOT SEEN")] == [f"NOT SEEN  {check}"]


def test_without_prometheus_nothing_is_known(stand_in: tuple[StandIn, str], look: Smoke) -> None:
    """Neither works nor does not: the exit status is a third."""
    server, url = stand_in
    server.status = 503

    assert look(url) == (2, "smoke: not known: Prometheus answered 503 Service Unavailable\n")


def test_what_stands_still_is_not_seen(tool: Tool, tmp_path: Path) -> None:
    """A counter that does not grow, a step that fails, somebody who is paged; by Prometheus itself."""
    new = '{service="orders", instance="a", version="1.4.0"}'
    route = 'http_route="/v1/orders", http_request_method="POST", http_response_status_code="201"'
    still = {
        f"build_info{new}": 1,
        f'http_server_request_duration_seconds_count{{instance="a", {route}}}': 7,
        'http_server_request_duration_seconds_count{instance="a", http_route="/v1/orders/{order_id}", '
        'http_request_method="GET", http_response_status_code="200"}': 7,
        'inbox_messages_handled_total{instance="a", outcome="handled"}': 7,
        'synthetic_journey_success{instance="a", journey="order"}': 0,
        'synthetic_journey_success{instance="a", journey="other"}': 1,
        'log_lines_total{instance="a", event="http.request"}': 7,
        'spans_exported_total{instance="a"}': 7,
        'ALERTS{service="orders", severity="page", alertstate="firing"}': 1,
    }
    queries = [smoke.filled(query, "orders", "1.4.0") for query in smoke.CHECKS.values()]
    content = {
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": series, "values": f"{value}x20"} for series, value in still.items()],
                "promql_expr_test": [{"expr": query, "eval_time": "5m", "exp_samples": []} for query in queries],
            }
        ]
    }
    (tmp_path / "tests.yaml").write_text(json.dumps(content))

    done = subprocess.run(
        [tool("promtool"), "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "Unit Testing:  tests.yaml\n  SUCCESS\n\n")


@pytest.mark.parametrize("check", smoke.CHECKS)
def test_it_asks_for_what_is_exposed(check: str) -> None:
    """A metric or a label that nobody has would be missing for ever."""
    declare_all()

    assert [*mistakes(smoke.CHECKS[check])] == []
