"""`app probe` beside the whole service: what it sees when all is well, and when one step is broken for real."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.environment import PROBE, service_name
from dev.http_server import serving
from dev.ports import free_port
from dev.postgres import PostgreSQL
from tests.support.eventually import eventually
from tests.support.probing import Gate, RunningProbe
from tests.support.running_service import RunningService, request_lines

STEPS = ("login", "buy", "read", "cancel", "clean-up")
# What breaks one step and no other, and what heals it.
FAULTS = {
    "buy": ("REVOKE INSERT ON orders FROM app_user", "GRANT INSERT ON orders TO app_user"),
    "read": ("REVOKE SELECT ON order_timeline FROM app_user", "GRANT SELECT ON order_timeline TO app_user"),
    "cancel": (
        "ALTER TABLE orders ADD CONSTRAINT none_cancelled CHECK (state <> 'cancelled') NOT VALID",
        "ALTER TABLE orders DROP CONSTRAINT none_cancelled",
    ),
}


class TokenEndpoint:
    """The issuer's side for programs, which can be switched off and on: it always listens on the same port."""

    def __init__(self, service: RunningService) -> None:
        self._app = service.issuer.app()
        self._port = free_port()
        self._running = ExitStack()
        self.url = f"http://127.0.0.1:{self._port}/token"

    def start(self) -> None:
        """Answer."""
        self._running.enter_context(serving(self._app, port=self._port))

    def stop(self) -> None:
        """Answer no more."""
        self._running.close()


@pytest.fixture
def secrets(service: RunningService, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield two files with the probe's secret: the issuer's, and the probe's own."""
    issuers, own = tmp_path / "issuers", tmp_path / "own"
    for file in (issuers, own):
        file.write_text("opens-the-door")
    service.issuer.clients[PROBE] = issuers
    yield issuers, own
    del service.issuer.clients[PROBE]


@pytest.fixture
def tokens(service: RunningService) -> Iterator[TokenEndpoint]:
    """Yield a token endpoint that answers."""
    tokens = TokenEndpoint(service)
    tokens.start()
    yield tokens
    tokens.stop()


@pytest.fixture
def gate(service: RunningService) -> Iterator[Gate]:
    """Yield a gate before the API, open."""
    gate = Gate(service.url)
    with serving(gate.app()) as gate.url:
        yield gate


NewProbe = Callable[..., RunningProbe]


@pytest.fixture
def new_probe(service: RunningService, tokens: TokenEndpoint, secrets: tuple[Path, Path]) -> Iterator[NewProbe]:
    """Yield a function that returns a probe, not yet started, of the service or of another address."""
    with ExitStack() as stack:

        def make(base_url: str = service.url, **settings: str) -> RunningProbe:
            probe = RunningProbe(base_url=base_url, token_url=tokens.url, secret_file=secrets[1], **settings)
            stack.callback(probe.process.process.stop)
            return probe

        yield make


async def orders_of_the_probe(service: RunningService) -> list[dict[str, Any]]:
    """Return the newest orders of its tenant."""
    async with service.client(tenant=PROBE) as client:
        listed: list[dict[str, Any]] = (await client.get("/v1/orders")).raise_for_status().json()["orders"]
        return listed


async def test_all_is_well(service: RunningService, new_probe: NewProbe, gate: Gate) -> None:
    """Every step succeeds, again and again, in a tenant of its own; the log is silent, and no order stays open."""
    probe = new_probe(gate.url)
    await probe.start()

    async def three_runs() -> dict[str, float] | None:
        shown = await probe.shown()
        return shown if shown["runs_total success"] >= 3 else None

    shown = await eventually(three_runs, within_seconds=60)
    orders = await orders_of_the_probe(service)

    assert {step: shown[f"step_success {step}"] for step in STEPS} == dict.fromkeys(STEPS, 1)
    assert (shown["success"], shown["runs_total failure"], shown["interval_seconds"]) == (1, 0, 0.2)
    assert shown["last_success_timestamp_seconds"] > 1_700_000_000
    assert gate.agents == {f"{service_name()}-probe/dev"}
    assert len(orders) >= 3
    assert len([order for order in orders if order["state"] != "cancelled"]) <= 1
    assert probe.process.terminate() == 0
    assert {line["event"] for line in probe.process.logs} == {"server.listening", "server.draining"}


@pytest.mark.parametrize("step", FAULTS)
async def test_a_broken_step_is_named(
    service: RunningService, postgres: PostgreSQL, new_probe: NewProbe, step: str
) -> None:
    """The database refuses what this step needs; the run ends there, and when it is healed the next one succeeds."""
    probe = new_probe()
    await probe.start()
    await probe.succeeds()
    fault, cure = FAULTS[step]

    postgres.execute(fault, database=service.database)
    try:
        failed = await probe.fails()
        shown = await probe.shown()
    finally:
        postgres.execute(cure, database=service.database)
    await eventually(lambda: probe.process.logged("synthetic_journey.recovered"), within_seconds=60)
    healed = await probe.succeeds()

    (line, *_) = probe.process.logged("synthetic_journey.failed")
    (refused, *_) = [
        found for found in await request_lines(service.serve, line["request_id"]) if found["status"] >= 500
    ]
    reached = STEPS[: STEPS.index(step)]
    assert failed == (step, "status")
    assert line["detail"] == f"answered with {refused['status']}, and not with {201 if step == 'buy' else 200}"
    assert {name: shown[f"step_success {name}"] for name in STEPS[:4]} == {name: name in reached for name in STEPS[:4]}
    assert shown["success"] == 0
    assert shown["runs_total failure"] == shown[f"step_failures_total {step} status"] >= 1
    assert {healed[f"step_success {name}"] for name in STEPS} == {1}


async def test_an_issuer_that_is_down_is_a_login_that_fails(new_probe: NewProbe, tokens: TokenEndpoint) -> None:
    """The service itself answers, but nobody new gets in; when the issuer is back, they do."""
    probe = new_probe()
    await probe.start()
    await probe.succeeds()

    tokens.stop()
    failed = await probe.fails()
    shown = await probe.shown()
    tokens.start()
    await eventually(lambda: probe.process.logged("synthetic_journey.recovered"), within_seconds=60)

    assert failed == ("login", "refused")
    assert [shown[f"step_success {step}"] for step in STEPS] == [0] * 5


async def test_a_service_that_is_down_does_not_end_the_probe(new_probe: NewProbe) -> None:
    """It lives, is ready, and says that nothing can be bought; it needed neither the service nor its settings."""
    probe = new_probe(f"http://127.0.0.1:{free_port()}")
    await probe.start()

    failed = await probe.fails()
    async with httpx.AsyncClient(base_url=probe.url) as client:
        answers = [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/startupz")]

    assert failed == ("buy", "refused")
    assert answers == [200, 200, 200]


async def test_a_changed_secret_is_picked_up(new_probe: NewProbe, secrets: tuple[Path, Path]) -> None:
    """An old one is refused, and named as what it is; the new one counts without a restart."""
    probe = new_probe()
    await probe.start()
    await probe.succeeds()
    issuers, own = secrets

    issuers.write_text("rotated")
    failed = await probe.fails()
    own.write_text("rotated")
    await eventually(lambda: probe.process.logged("synthetic_journey.recovered"), within_seconds=60)

    assert failed == ("login", "status")
    assert "opens-the-door" not in "".join(probe.process.lines)


async def test_a_killed_probe_leaves_its_order_to_the_next(
    service: RunningService, new_probe: NewProbe, gate: Gate
) -> None:
    """Killed between buying and cancelling; the next one cancels that order, too."""
    gate.holds = True
    killed = new_probe(gate.url)
    await killed.start()
    await eventually(gate.held.is_set, within_seconds=60)
    killed.process.kill()
    left = [order["id"] for order in await orders_of_the_probe(service) if order["state"] == "placed"]
    gate.holds = False

    probe = new_probe(gate.url)
    await probe.start()
    await probe.succeeds()

    assert len(left) == 1
    async with service.client(tenant=PROBE) as client:
        await service.in_state(client, left[0], "cancelled", "order.placed", "order.cancelled")


async def test_a_step_that_hangs_ends_at_its_timeout(new_probe: NewProbe, gate: Gate) -> None:
    """The next run comes all the same, and succeeds when nothing hangs any more."""
    gate.holds = True
    probe = new_probe(gate.url, APP_PROBE__STEP_TIMEOUT_SECONDS="5")
    await probe.start()

    failed = await probe.fails()
    gate.holds = False
    await probe.succeeds()

    assert failed == ("cancel", "timeout")


async def test_a_probe_that_hangs_stops_when_told(new_probe: NewProbe, gate: Gate) -> None:
    """SIGTERM in the middle of a step that may take an hour ends it, with exit code 0 and without a verdict."""
    gate.holds = True
    probe = new_probe(gate.url, APP_PROBE__STEP_TIMEOUT_SECONDS="3600")
    await probe.start()
    await eventually(gate.held.is_set, within_seconds=60)

    code = await asyncio.to_thread(probe.process.terminate, timeout_seconds=60)

    assert code == 0
    assert {line["event"] for line in probe.process.logs} == {"server.listening", "server.draining"}
