"""From counters to a verdict: a process is scraped, the generated rules are evaluated, and the gate asks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dev.http_server import serving
from dev.monitoring import Prometheus
from dev.ops import slos
from dev.ops.generated import FOLDER
from dev.prometheus_api import PrometheusApi
from dev.release_gate import policy as policies
from dev.release_gate.decision import Decision, Verdict, decide
from dev.release_gate.measured import measure
from tests.support.eventually import eventually

LEVELS = slos.read()
POLICY = policies.read(LEVELS)
REQUESTS = [("/v1/orders", "POST", "0.5"), ("/v1/orders/{order_id}", "GET", "0.25")]


class CountingProcess:
    """A process whose events go on: each scrape finds ten more of each kind, and bad ones if something is broken."""

    def __init__(self) -> None:
        self.bad_each_time = 0
        self._good = 0
        self._bad = 0

    def app(self) -> Starlette:
        """Return its HTTP side."""
        return Starlette(routes=[Route("/metrics", self._answer)])

    async def _answer(self, _: Request) -> Response:
        self._good += 10
        self._bad += self.bad_each_time
        return PlainTextResponse("\n".join([*self._lines(), ""]))

    def _lines(self) -> Iterator[str]:
        for route, method, le in REQUESTS:
            own = f'http_route="{route}",http_request_method="{method}",http_response_status_code="200"'
            yield f"http_server_request_duration_seconds_count{{{own}}} {self._good}"
            yield f'http_server_request_duration_seconds_bucket{{{own},le="{le}"}} {self._good}'
        yield f"inbox_delivery_delay_seconds_count {self._good}"
        yield f'inbox_delivery_delay_seconds_bucket{{le="30.5"}} {self._good}'
        yield f'authentication_tokens_total{{outcome="accepted"}} {self._good}'
        yield f'synthetic_journey_runs_total{{journey="order",outcome="success"}} {self._good}'
        yield f'authentication_tokens_total{{outcome="keys_unavailable"}} {self._bad}'


@pytest.fixture
def process() -> CountingProcess:
    """Return a process without a fault."""
    return CountingProcess()


@pytest.fixture
def prometheus(tool: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Yield a function that starts a Prometheus, with all generated rules, which scrapes an address."""
    tool("prometheus")
    started = []

    def start(url: str) -> str:
        target = {"targets": [url.removeprefix("http://")], "labels": {"service": "orders"}}
        server = Prometheus(
            tmp_path,
            {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
                "rule_files": [str(FOLDER / "prometheus" / "*.rules.yaml")],
                "scrape_configs": [{"job_name": "orders", "static_configs": [target]}],
            },
        )
        server.start()
        started.append(server)
        return server.url

    yield start
    for server in started:
        server.stop()


async def test_the_gate_follows_a_service_through_an_outage(
    process: CountingProcess, prometheus: Callable[[str], str]
) -> None:
    """Allowed while all is well, frozen when tokens cannot be checked any more, unknown when the process is gone."""
    with serving(process.app()) as url:
        address = prometheus(url)
        allowed = await eventually(lambda: decided(address, Verdict.ALLOWED), within_seconds=120)

        process.bad_each_time = 10
        frozen = await eventually(lambda: decided(address, Verdict.FROZEN), within_seconds=120)
    gone = await eventually(lambda: decided(address, Verdict.UNKNOWN, reason="fix"), within_seconds=120)

    assert allowed.why == "every level has budget left"
    assert frozen.why == "frozen by login"
    assert gone.why.startswith("1 of 1 processes cannot be scraped: 127.0.0.1:")


def decided(address: str, verdict: Verdict, *, reason: str | None = None) -> Decision | None:
    """Return the gate's decision if it is this one."""
    measurement = measure(PrometheusApi(address, timeout_seconds=60), "orders", LEVELS, POLICY)
    decision = decide(measurement, LEVELS, POLICY, reason)
    return decision if decision.verdict is verdict else None
