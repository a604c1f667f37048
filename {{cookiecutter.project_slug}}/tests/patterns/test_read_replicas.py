"""patterns/read_replicas: on a real streaming replica, whose replay is paused, which is lost, and which is promoted."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.middleware import Middleware

from app.kit.clock import ManualClock
from app.kit.db import DatabaseUnavailable, create_engine, transaction
from app.patterns.read_replicas import ReadReplicas, ReadYourWrites, ReplicaSettings
from app.patterns.read_replicas.positions import Log
from tests.support.eventually import eventually
from tests.support.replicated import Replicated, replicated

pytestmark = pytest.mark.xdist_group("replicated")
SETTINGS = ReplicaSettings(max_lag_seconds=2, look_seconds=0.5)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """Yield a primary and its replica, with one table."""
    with replicated(tmp_path_factory.mktemp("replicated")) as servers:
        servers.primary.execute("CREATE TABLE notes (number int)")
        yield servers


@pytest.fixture
async def primary(servers: Replicated) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on the primary."""
    engine = create_engine(servers.settings("postgres", of=servers.primary), application_name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def replica(servers: Replicated) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on the replica, which replays again afterwards."""
    engine = create_engine(servers.settings("postgres", of=servers.replica), application_name="test", replica=True)
    yield engine
    await engine.dispose()
    servers.replica.execute("SELECT pg_wal_replay_resume()")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
async def reads(servers: Replicated, primary: AsyncEngine, replica: AsyncEngine, clock: ManualClock) -> ReadReplicas:
    """Return the routing, which has looked at a replica that is up to date."""
    reads = ReadReplicas(primary, [replica], SETTINGS, clock)
    await _caught_up(servers)
    await reads.look()
    return reads


async def _where(session: AsyncSession) -> str:
    return "replica" if await session.scalar(text("SELECT pg_is_in_recovery()")) else "primary"


async def _caught_up(servers: Replicated) -> None:
    position = servers.primary.execute("SELECT pg_current_wal_lsn()")
    passed = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
    await eventually(lambda: servers.replica.execute(passed) == "t")


async def _write(primary: AsyncEngine) -> None:
    async with transaction(primary) as session:
        await session.execute(text("INSERT INTO notes VALUES (1)"))


def _answered(server: str, reason: str) -> float:
    labels = {"server": server, "reason": reason}
    return REGISTRY.get_sample_value("read_replicas_reads_total", labels) or 0


async def test_a_replica_that_is_up_to_date_answers(reads: ReadReplicas) -> None:
    """The primary is spared, and it is counted."""
    before = _answered("replica", "")

    assert await reads.read(_where) == "replica"
    assert _answered("replica", "") == before + 1


async def test_a_replica_that_lags_is_not_asked(
    servers: Replicated, reads: ReadReplicas, primary: AsyncEngine, clock: ManualClock
) -> None:
    """Its replay stands still while the primary moves on; once it has caught up, it answers again."""
    servers.replica.execute("SELECT pg_wal_replay_pause()")
    await _write(primary)
    await reads.look()
    at_first = await reads.read(_where)
    clock.advance(SETTINGS.max_lag_seconds + 0.1)
    await reads.look()
    late = await reads.read(_where)
    lag = REGISTRY.get_sample_value("read_replicas_lag_seconds", {"replica": "replica-0"})

    servers.replica.execute("SELECT pg_wal_replay_resume()")
    await _caught_up(servers)
    await reads.look()

    assert (at_first, late, await reads.read(_where)) == ("replica", "primary", "replica")
    assert lag == pytest.approx(SETTINGS.max_lag_seconds + 0.1)


async def test_an_idle_primary_makes_no_lag(reads: ReadReplicas, clock: ManualClock) -> None:
    """Nothing was written for an hour: the replica is as good as it was."""
    clock.advance(3600)
    await reads.look()

    assert await reads.read(_where) == "replica"


async def test_a_view_that_is_too_old_is_none(reads: ReadReplicas, clock: ManualClock) -> None:
    """If nobody has looked after the replicas for a while, nothing is known about them."""
    clock.advance(3 * SETTINGS.look_seconds + 0.1)

    assert await reads.read(_where) == "primary"


async def test_a_lost_replica_costs_no_read(servers: Replicated, reads: ReadReplicas) -> None:
    """The read that finds it gone is answered by the primary; back again, it is used again."""
    servers.replica.kill()
    try:
        during = [await reads.read(_where) for _ in range(2)]
        await reads.look()
        looked = await reads.read(_where)
    finally:
        servers.replica.start()
    await reads.look()

    assert [*during, looked] == ["primary", "primary", "primary"]
    assert await reads.read(_where) == "replica"


async def test_without_replicas_the_primary_answers(primary: AsyncEngine) -> None:
    """A service that has none needs no other code."""
    assert await ReadReplicas(primary).read(_where) == "primary"


async def test_an_error_of_the_query_is_no_reason_to_ask_elsewhere(reads: ReadReplicas) -> None:
    """What the caller did wrong is told to him, once."""
    asked: list[AsyncSession] = []

    async def wrong(session: AsyncSession) -> None:
        asked.append(session)
        raise LookupError

    with pytest.raises(LookupError):
        await reads.read(wrong)
    assert len(asked) == 1


async def test_no_server_at_all_is_an_error(servers: Replicated, reads: ReadReplicas) -> None:
    """With both gone there is one clear answer."""
    servers.replica.kill()
    servers.primary.kill()
    try:
        with pytest.raises(DatabaseUnavailable):
            await reads.read(_where)
        await reads.look()
    finally:
        servers.primary.start()
        servers.replica.start()


@pytest.fixture
def app(reads: ReadReplicas, primary: AsyncEngine) -> FastAPI:
    """A service that writes, and says where it reads."""
    app = FastAPI(middleware=[Middleware(ReadYourWrites)])
    app.state.reads = reads

    @app.post("/notes", status_code=201)
    async def write() -> None:
        await _write(primary)

    @app.get("/where")
    async def where() -> str:
        return await reads.read(_where)

    return app


async def test_a_callers_own_write_is_seen(servers: Replicated, app: FastAPI) -> None:
    """With the token of the write, a replica that has not replayed it is not asked; without it, or later, it is."""
    servers.replica.execute("SELECT pg_wal_replay_pause()")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        token = {"x-read-after": (await client.post("/notes")).headers["x-read-after"]}
        own, anybodys = await client.get("/where", headers=token), await client.get("/where")

        servers.replica.execute("SELECT pg_wal_replay_resume()")
        await _caught_up(servers)
        await app.state.reads.look()
        later = await client.get("/where", headers=token)

    assert (own.json(), anybodys.json(), later.json()) == ("primary", "replica", "replica")
    assert "x-read-after" not in anybodys.headers


@pytest.mark.parametrize("token", ["0", "latest", "ffffffffffffffff", "-000000000000001", ""])
async def test_a_token_that_is_none_asks_the_primary(app: FastAPI, token: str) -> None:
    """Whoever makes one up gets an answer that is right."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/where", headers={"x-read-after": token})).json() == "primary"


async def test_a_write_is_answered_though_its_position_is_unknown(servers: Replicated, app: FastAPI) -> None:
    """The primary dies after the commit: the answer goes out, without a token."""

    @app.post("/last-words", status_code=201)
    async def last_words() -> None:
        servers.primary.kill()

    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answer = await client.post("/last-words")
    finally:
        servers.primary.start()

    assert answer.status_code == 201
    assert "x-read-after" not in answer.headers


def test_lag_is_the_age_of_the_first_position_that_is_missing() -> None:
    """Positions are noted when they change; what was replayed up to one of them is as late as the next."""
    log = Log()
    for at, position in [(10.0, 100), (11.0, 100), (12.0, 200), (13.0, 300)]:
        log.note(position, at)

    assert [log.lag_seconds(replayed, now=15.0) for replayed in (99, 100, 150, 200, 300, 400)] == [5, 3, 3, 2, 0, 0]
