"""PostgreSQL and NATS as the service's `dev/` starts them, and for each case a new database and a new stream."""

import asyncio
import io
import itertools
import json
import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nats
import outbox_process
from dev.environment import ROOT
from dev.nats import Nats
from dev.postgres import PostgreSQL
from nats.js.api import AckPolicy, ConsumerConfig

from app.kit.db import DatabaseSettings, create_engine
from app.patterns import migrations

# Forked from one that has imported everything: starting is most of what a short case does.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["outbox_process"])
LANES = 64
_READ_AT_ONCE = 500
_LONGEST_SILENCE_SECONDS = 150
# Each aggregate's events are numbered, in the order of their ids; about 600 bytes each, as the service's are.
_FILL = """
    INSERT INTO outbox (lane, event_id, tenant_id, aggregate, type, envelope)
    SELECT a % {lanes}, e, 'bench', 'bench/orders/' || a, 'order.placed', jsonb_build_object(
        'specversion', '1.0', 'id', e, 'source', '/orders', 'type', 'order.placed', 'subject', a::text,
        'time', now(), 'datacontenttype', 'application/json', 'tenant', 'bench', 'actor', 'bench',
        'requestid', md5(n::text), 'traceparent', '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-00',
        'data', jsonb_build_object('n', n / {aggregates}, 'note', repeat('x', 120)))
    FROM (SELECT n, n % {aggregates} AS a, gen_random_uuid() AS e FROM generate_series(0, {events} - 1) AS n OFFSET 0) s
    ORDER BY n
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One database and one stream that nothing else uses."""

    database: str
    database_url: str
    broker_url: str
    stream: str
    subject_prefix: str


class Servers:
    """The servers, and what is on them."""

    def __init__(self, postgres: PostgreSQL, broker: Nats) -> None:
        self.postgres = postgres
        self.broker = broker
        self._numbers = itertools.count(1)

    @contextmanager
    def case(self, *, events: int = 0, aggregates: int = 5000, broker: Nats | None = None) -> Iterator[Case]:
        """Yield a case whose outbox holds `events`; its database is dropped in the end."""
        name = f"case_{next(self._numbers)}"
        url = (broker or self.broker).url()
        self.postgres.create_database(name, template="migrated")
        try:
            if events:
                fill = _FILL.format(lanes=LANES, aggregates=aggregates, events=events)
                self.postgres.execute(fill, database=name)
                self.postgres.execute("VACUUM ANALYZE outbox", database=name)
            yield Case(name, self.postgres.url(name), url, name.upper(), name.replace("_", "-"))
        finally:
            self.postgres.drop_database(name)
            asyncio.run(_drop_stream(url, name.upper()))

    def waiting(self, case: Case) -> int:
        """Return how many events are still in the table."""
        return int(self.postgres.execute("SELECT count(*) FROM outbox", database=case.database))


@contextmanager
def servers() -> Iterator[Servers]:
    """Start both servers, PostgreSQL with fsync, and prepare the database that every case is a copy of."""
    with tempfile.TemporaryDirectory(prefix="bench-outbox-") as folder, ExitStack() as stack:
        postgres = PostgreSQL(Path(folder) / "postgres", durable=True)
        stack.callback(postgres.stop)
        postgres.start()
        postgres.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        postgres.execute("SELECT pg_reload_conf()")
        postgres.create_database("migrated")
        with redirect_stdout(io.StringIO()):  # what it logs
            asyncio.run(_migrate(postgres.url("migrated")))
        yield Servers(postgres, stack.enter_context(nats_server(Path(folder) / "nats")))


@contextmanager
def nats_server(folder: Path, **settings: str) -> Iterator[Nats]:
    """Run a NATS server with its data in `folder`."""
    server = Nats(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Child:
    """A process that plays a role of `outbox_process.py`: it prepares itself, waits for `go`, works, and reports."""

    def __init__(self, role: str, case: Case, **options: object) -> None:
        self._pipe, other_end = _FORKS.Pipe()
        work = (role, {**asdict(case), **options}, other_end)
        self._process = _FORKS.Process(target=outbox_process.run, args=work, daemon=True)
        self._process.start()
        other_end.close()  # or the end of the process would go unnoticed here

    def wait_until_ready(self) -> None:
        """Return when it could begin."""
        self._hear()

    def go(self) -> None:
        """Let it begin."""
        self._pipe.send("go")

    def report(self, *, stop: bool = False) -> dict[str, Any]:
        """Return its report; `stop` is for a role without an end of its own."""
        if stop:
            self._pipe.send("stop")
        report: dict[str, Any] = self._hear()
        return report

    def end(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.join()

    def _hear(self) -> Any:  # noqa: ANN401 - whatever was sent
        if not self._pipe.poll(_LONGEST_SILENCE_SECONDS):
            raise SystemExit("a process of the bench has gone silent")
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            raise SystemExit(f"a process of the bench failed: exit status {self._process.exitcode}") from None


@contextmanager
def children(*wanted: tuple[str, Mapping[str, object]], case: Case) -> Iterator[list[Child]]:
    """Yield running processes that are ready, one per role with its options; none of them outlives the block."""
    running: list[Child] = []
    try:
        for role, options in wanted:
            running.append(Child(role, case, **options))
        for child in running:
            child.wait_until_ready()
        yield running
    finally:
        for child in running:
            child.end()


def reports(case: Case, role: str, *, processes: int = 1, **options: object) -> list[dict[str, Any]]:
    """Let `processes` of the same role work at the same time, and return their reports."""
    with children(*[(role, options)] * processes, case=case) as running:
        for child in running:
            child.go()
        return [child.report() for child in running]


def inversions(case: Case) -> tuple[int, int]:
    """Return how many messages of the stream come after a later one of their aggregate, and how many there are."""
    return asyncio.run(_inversions(case))


async def _inversions(case: Case) -> tuple[int, int]:
    client = await nats.connect(case.broker_url)
    try:
        jetstream = client.jetstream()
        messages = (await jetstream.stream_info(case.stream)).state.messages
        config = ConsumerConfig(ack_policy=AckPolicy.NONE)
        subscription = await jetstream.pull_subscribe(f"{case.subject_prefix}.>", stream=case.stream, config=config)
        newest: dict[str, int] = {}
        wrong = read = 0
        while read < messages:
            for message in await subscription.fetch(min(_READ_AT_ONCE, messages - read), timeout=10):
                event = json.loads(message.data)
                number, read = event["data"]["n"], read + 1
                wrong += number < newest.get(event["subject"], 0)
                newest[event["subject"]] = max(number, newest.get(event["subject"], 0))
        return wrong, messages
    finally:
        await client.close()


async def _drop_stream(url: str, stream: str) -> None:
    client = await nats.connect(url)
    try:
        await client.jetstream().delete_stream(stream)
    except nats.js.errors.NotFoundError:
        pass  # a case without a broker
    finally:
        await client.close()


async def _migrate(url: str) -> None:
    engine = create_engine(DatabaseSettings(url=url), application_name="bench")
    try:
        await migrations.upgrade(engine, migrations.MigrationSettings(folder=ROOT / "migrations"))
    finally:
        await engine.dispose()
