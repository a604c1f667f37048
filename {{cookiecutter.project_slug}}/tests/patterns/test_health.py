"""patterns/health.py: what the platform is told, and what it is not told."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.middleware import Middleware

from app.kit.clock import ManualClock
from app.patterns.health import Health, HealthProbes


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still."""
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    """A process that has just started up."""
    health = Health(clock=clock)
    health.mark_started()
    return health


class Dependency:
    """Something that can be down, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure


async def probe(health: Health, path: str, method: str = "GET") -> httpx.Response:
    """Ask as the platform does."""
    app = FastAPI(middleware=[Middleware(HealthProbes, health=health)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path)


async def test_a_process_with_working_dependencies_is_ready(health: Health) -> None:
    """Each check is listed by its name; nothing may be cached on the way."""
    health.add_check("database", Dependency())

    answer = await probe(health, "/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "pass", "checks": {"database": {"status": "pass"}}}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_dead_dependency_makes_the_process_not_ready_but_not_dead(health: Health) -> None:
    """Readiness fails, liveness does not even ask."""
    database = Dependency()
    database.failure = ConnectionRefusedError("postgresql://app:secret@db")
    health.add_check("database", database)

    live = await probe(health, "/livez")
    assert database.asked == 0
    ready = await probe(health, "/readyz")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": {"status": "fail", "detail": "ConnectionRefusedError"}}
    assert "secret" not in ready.text


async def test_an_optional_dependency_only_warns(health: Health) -> None:
    """What the service can do without keeps it ready, visibly."""
    cache = Dependency()
    cache.failure = OSError()
    health.add_check("cache", cache, required=False)

    answer = await probe(health, "/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "warn", "checks": {"cache": {"status": "warn", "detail": "OSError"}}}


async def test_a_check_that_hangs_fails_after_its_timeout(health: Health) -> None:
    """A dependency that accepts and never answers is down."""
    health.add_check("broker", lambda: asyncio.Event().wait(), timeout_seconds=0.01)

    async with asyncio.timeout(0.5):
        answer = await probe(health, "/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"]["detail"] == "no answer within 0.01 s"


async def test_what_a_check_said_is_a_metric(health: Health, clock: ManualClock) -> None:
    """1 while a dependency works, 0 once it was asked and did not: an alert can tell which one it was."""
    database = Dependency()
    health.add_check("database", database)

    await probe(health, "/readyz")
    before = REGISTRY.get_sample_value("health_check_success", {"check": "database"})
    database.failure = ConnectionRefusedError()
    clock.advance(1.0)
    await probe(health, "/readyz")

    assert (before, REGISTRY.get_sample_value("health_check_success", {"check": "database"})) == (1, 0)


async def test_checks_run_side_by_side(health: Health) -> None:
    """Two checks that wait for each other both pass: the sum of the timeouts is never waited for."""
    first, second = asyncio.Event(), asyncio.Event()

    def meet(mine: asyncio.Event, other: asyncio.Event) -> Callable[[], Awaitable[object]]:
        async def check() -> None:
            mine.set()
            await other.wait()

        return check

    health.add_check("one", meet(first, second))
    health.add_check("two", meet(second, first))

    assert (await probe(health, "/readyz")).status_code == 200


async def test_probes_within_a_second_share_one_answer(health: Health, clock: ManualClock) -> None:
    """However often the platform asks, a dependency is asked once a second."""
    database = Dependency()
    health.add_check("database", database)

    await asyncio.gather(*(probe(health, "/readyz") for _ in range(5)))
    assert database.asked == 1
    clock.advance(1.0)
    await probe(health, "/readyz")

    assert database.asked == 2


async def test_before_start_up_is_done_the_process_is_alive_but_not_ready() -> None:
    """The three probes say three different things of a process that is still starting."""
    health = Health()
    answers = {path: (await probe(health, path)).status_code for path in ("/livez", "/startupz", "/readyz")}

    assert answers == {"/livez": 200, "/startupz": 503, "/readyz": 503}


async def test_draining_ends_readiness_at_once(health: Health) -> None:
    """A cached good answer does not keep traffic coming; the process stays alive to finish what it has."""
    assert (await probe(health, "/readyz")).status_code == 200

    health.start_draining()

    ready = await probe(health, "/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"process": {"status": "fail", "detail": "draining"}}
    assert (await probe(health, "/livez")).status_code == 200
    assert (await probe(health, "/startupz")).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/livez"), ("GET", "/livez/x"), ("GET", "/")])
async def test_everything_else_passes_through(health: Health, method: str, path: str) -> None:
    """The layer answers three paths and two methods; the application sees the rest."""
    assert (await probe(health, path, method)).status_code == 404


async def test_head_is_answered_like_get(health: Health) -> None:
    """Load balancers may probe with HEAD."""
    assert (await probe(health, "/readyz", "HEAD")).status_code == 200
