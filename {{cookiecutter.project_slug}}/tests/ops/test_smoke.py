"""`make smoke` after a deployment: what works is seen, and whatever is not seen is named."""

import json
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dev.delivery import smoke
from dev.http_server import serving
from dev.ops.selectors import declare_all, mistakes
from tests.support.watched_service import SERVICE, Watched

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


@pytest.mark.parametrize("check", smoke.CHECKS)
def test_it_asks_for_what_is_exposed(check: str) -> None:
    """A metric or a label that nobody has would be missing for ever."""
    declare_all()

    assert [*mistakes(smoke.CHECKS[check])] == []
