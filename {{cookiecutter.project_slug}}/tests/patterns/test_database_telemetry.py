"""patterns/database_telemetry.py: what a request has asked the database is in its tally, the metrics and its trace."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import REGISTRY
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.context import Context, bind
from app.kit.db import DatabaseSettings, create_engine
from app.kit.instruments import OTHER
from app.patterns import database_telemetry

METRIC = "db_client_operation_duration_seconds"
SECRET = "4111 1111 1111 1111"
ROWS = Table("rows", MetaData(), Column("id", Integer, primary_key=True))


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine that can be measured."""
    settings = DatabaseSettings.model_validate({"url": database_url})
    engine = create_engine(settings, application_name="test", poolclass=database_telemetry.MeasuredPool)
    yield engine
    await engine.dispose()


class Traced:
    """A measured engine, and what it exports."""

    def __init__(self, engine: AsyncEngine, sampler: Sampler = ALWAYS_ON) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        database_telemetry.instrument(engine, pool="test", tables=["orders", "outbox", "rows"], provider=provider)
        self.tracer = provider.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The client spans of statements that have ended; those of a new connection's introduction are left out."""
        spans = self.exporter.get_finished_spans()
        return [span for span in spans if span.kind is SpanKind.CLIENT and "pg_catalog" not in str(span.attributes)]


@pytest.fixture
async def traced(engine: AsyncEngine) -> Traced:
    """Everything that begins in a span is recorded; the engine has connected once."""
    traced = Traced(engine)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE rows (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"))
        await connection.commit()
    return traced


def counted(operation: str, collection: str, error_type: str = "") -> float:
    """Return how many operations were observed under these labels."""
    labels = {"db_operation_name": operation, "db_collection_name": collection, "error_type": error_type}
    return REGISTRY.get_sample_value(f"{METRIC}_count", labels) or 0


async def test_a_request_knows_what_it_has_asked(engine: AsyncEngine, traced: Traced) -> None:
    """Statements are counted and timed; COMMIT takes time, and is no statement."""
    work = Context()
    commits = counted("COMMIT", "")

    with bind(work):
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(0.05)"))
            await connection.execute(text("SELECT 1"))

    assert traced.spans == []
    assert work.tally.db_queries == 2
    assert 0.05 <= work.tally.db_seconds < 10
    assert counted("COMMIT", "") == commits + 1


@pytest.mark.parametrize(
    ("statement", "operation", "collection"),
    [
        ("SELECT 1", "SELECT", ""),
        ("\n  select id from ORDERS o", "SELECT", OTHER),
        ("\n  select id from orders o WHERE version IN (SELECT 1)", "SELECT", "orders"),
        ('SELECT * FROM public."orders"', "SELECT", "orders"),
        ("SELECT count(*) FROM unnest(ARRAY[1]) AS f JOIN outbox o ON o.id = f", "SELECT", "outbox"),
        ("SELECT * FROM pg_class LIMIT 1", "SELECT", OTHER),
        ("UPDATE orders SET version = 1 WHERE id IN (SELECT id FROM orders FOR UPDATE)", "UPDATE", "orders"),
        ("DELETE FROM outbox", "DELETE", "outbox"),
        ("WITH x AS (SELECT 1) SELECT * FROM x JOIN orders ON true", "WITH", "orders"),
        ("SET synchronous_commit = off", "SET", ""),
        ("NOTIFY outbox", "NOTIFY", ""),
        ("EXPLAIN SELECT 1", OTHER, ""),
        ("/* a comment first */ SELECT 1", OTHER, ""),
        ("SELECT(1)", "SELECT", ""),
        ("", OTHER, ""),
    ],
    ids=[
        "no table", "another spelling", "lower case", "schema and quotes", "join", "a table that is not ours", "update",
        "delete", "with", "set", "notify", "explain", "comment", "no space", "nothing at all",
    ],
)  # fmt: skip
async def test_a_statement_is_told_by_what_it_does_and_to_which_table(
    engine: AsyncEngine, traced: Traced, statement: str, operation: str, collection: str
) -> None:
    """Both are words that are known beforehand, or `_OTHER`: no text of a statement becomes a label or a name."""
    before = counted(operation, collection)

    with traced.tracer.start_as_current_span("request"):
        async with engine.connect() as connection:
            await connection.execute(text(statement))

    assert counted(operation, collection) == before + 1
    assert [span.name for span in traced.spans] == [f"{operation} {collection}".rstrip()]


async def test_every_way_to_execute_is_measured(engine: AsyncEngine, traced: Traced) -> None:
    """One row, many rows, and the batches of an insert that returns what it made."""
    before = counted("INSERT", "rows")
    work = Context()

    with bind(work):
        async with engine.begin() as connection:
            await connection.execute(insert(ROWS), {"id": 1})
            await connection.execute(insert(ROWS), [{"id": number} for number in range(2, 5)])
            await connection.execute(insert(ROWS).returning(ROWS.c.id), [{"id": number} for number in range(5, 2005)])
            assert await connection.scalar(select(func.count()).select_from(ROWS)) == 2004

    assert traced.spans == []
    assert counted("INSERT", "rows") == before + 4  # the driver takes no more than 1 000 rows at a time
    assert work.tally.db_queries == 5


async def test_a_statement_of_a_traced_request_is_a_span(engine: AsyncEngine, traced: Traced) -> None:
    """Named after operation and table, with the statement and none of its values."""
    with traced.tracer.start_as_current_span("request") as request:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT id FROM orders WHERE currency = :card"), {"card": SECRET})

    select_orders, commit = traced.spans
    assert (select_orders.name, commit.name) == ("SELECT orders", "COMMIT")
    assert select_orders.parent == commit.parent == request.get_span_context()
    assert dict(select_orders.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "orders",
        "db.query.text": "SELECT id FROM orders WHERE currency = $1",
    }
    assert select_orders.status.status_code is StatusCode.UNSET


async def test_a_long_statement_is_cut(engine: AsyncEngine, traced: Traced) -> None:
    """A span stays small, whatever somebody generates."""
    with traced.tracer.start_as_current_span("request"):
        async with engine.connect() as connection:
            await connection.execute(text(f"SELECT 1 /* {'x' * 2000} */"))

    (span,) = traced.spans
    assert len(str((span.attributes or {})["db.query.text"])) == 1000


@pytest.mark.parametrize("inside", [False, True], ids=["no span", "a span that is not sampled"])
async def test_what_is_not_traced_makes_no_spans(engine: AsyncEngine, *, inside: bool) -> None:
    """Without a span that records there is none to belong to: neither for a job, nor for a request left out."""
    traced = Traced(engine, ALWAYS_OFF if inside else ALWAYS_ON)
    span = traced.tracer.start_span("request") if inside else trace.INVALID_SPAN

    with trace.use_span(span):
        async with engine.begin() as connection:
            await connection.execute(text("SELECT 1"))

    assert traced.spans == []


async def test_a_statement_that_fails_is_counted_by_its_code(engine: AsyncEngine, traced: Traced) -> None:
    """SQLSTATE in metric and span, the error as it was for the caller, and no value of the statement anywhere."""
    before = counted("INSERT", "rows", "22P02"), counted("INSERT", "rows")
    work = Context()

    with (
        bind(work),
        traced.tracer.start_as_current_span("request"),
        pytest.raises(DBAPIError, match="invalid input syntax"),
    ):
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO rows VALUES (CAST(CAST(:id AS text) AS int))"), {"id": SECRET})

    (span,) = traced.spans
    assert (counted("INSERT", "rows", "22P02"), counted("INSERT", "rows")) == (before[0] + 1, before[1])
    assert ((span.attributes or {})["error.type"], span.status.status_code) == ("22P02", StatusCode.ERROR)
    assert SECRET not in span.to_json()
    assert work.tally.db_queries == 1
    assert work.tally.db_seconds > 0


async def test_a_commit_that_fails_is_seen(engine: AsyncEngine, traced: Traced) -> None:
    """A constraint that is checked at the end fails COMMIT, and no statement."""
    before = counted("COMMIT", "", "23505")

    with traced.tracer.start_as_current_span("request"), pytest.raises(DBAPIError, match="duplicate key"):
        async with engine.begin() as connection:
            await connection.execute(insert(ROWS), [{"id": 1}, {"id": 1}])

    assert counted("COMMIT", "", "23505") == before + 1
    assert [(span.name, span.status.status_code) for span in traced.spans] == [
        ("INSERT rows", StatusCode.UNSET),
        ("COMMIT", StatusCode.ERROR),
    ]


async def test_a_statement_that_is_cancelled_is_seen(engine: AsyncEngine, traced: Traced) -> None:
    """A caller that loses patience leaves a span that ends and a time that counts."""
    before = counted("SELECT", "", "CancelledError")
    work = Context()

    with bind(work), traced.tracer.start_as_current_span("request"), pytest.raises(TimeoutError):
        async with engine.connect() as connection, asyncio.timeout(0.1):
            await connection.execute(text("SELECT pg_sleep(30)"))

    (span,) = traced.spans
    assert counted("SELECT", "", "CancelledError") == before + 1
    assert (span.attributes or {})["error.type"] == "CancelledError"
    assert work.tally.db_seconds > 0.05


def test_no_more_statements_are_remembered_than_a_service_has() -> None:
    """Generated statements, each of them new, do not fill the memory."""
    statements = database_telemetry._Statements(frozenset(), trace.get_tracer("test"))

    for number in range(1200):
        statements._described(f"SELECT {number}")

    assert statements._described.cache_info().currsize == 512
