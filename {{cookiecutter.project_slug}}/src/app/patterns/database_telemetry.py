"""Database telemetry: every statement is counted and timed, and is a span where its request is traced.

Use when: an answer is slow, and the question is whether the database was, with which statement, or the wait for it.
Not when: you want plans and row counts - PostgreSQL has them: `pg_stat_statements`, `auto_explain`.
Costs:    about 5 microseconds a statement, about 45 where it becomes a span; 14 series per operation and table.
Fails:    it cannot: numbers in memory. An operation or a table that is not known counts as `_OTHER`. A statement is in
          the span as it was sent, with placeholders: its parameters are nowhere.
Copy:     this file, kit/context.py, kit/histogram.py, kit/instruments.py.
Origin:   OpenTelemetry's semantic conventions for database calls; connection pool metrics of the same.
"""

import re
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

from app.kit import context
from app.kit.histogram import Distribution
from app.kit.instruments import OTHER, counter, gauge, histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5)
_OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "NOTIFY", "COMMIT")
_FIRST_WORD = re.compile(r"^\s*(\w*)")
_TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:"?\w+"?\.)?"?(\w+)', re.IGNORECASE)
_KNOWN_STATEMENTS = 512  # how many texts are remembered with what was found in them
_LONGEST_TEXT = 1000
_SETTING = "SELECT set_config("  # a transaction's tenant, for one: a span of each would tell nobody anything

OPERATION_DURATION = histogram(
    "db_client_operation_duration_seconds",
    "Duration of statements and commits, as the client sees it.",
    {"db_operation_name": _OPERATIONS, "db_collection_name": 20, "error_type": 15},
    buckets=_BUCKETS,
    limit=60,
)
_POOLS = 5
CONNECTIONS = gauge("db_client_connections", "Connections in the pool.", {"pool": _POOLS, "state": ("used", "idle")})
MAX_CONNECTIONS = gauge("db_client_connection_max", "Most connections that the pool may hold.", {"pool": _POOLS})
PENDING_REQUESTS = gauge(
    "db_client_connection_pending_requests", "Requests that wait for a connection.", {"pool": _POOLS}
)
TIMEOUTS = counter("db_client_connection_timeouts_total", "Requests that waited for a connection in vain.")
WAIT_TIME = histogram(
    "db_client_connection_wait_time_seconds", "Wait for a connection, a new one's start included.", buckets=_BUCKETS
)


class MeasuredPool(AsyncAdaptedQueuePool):
    """A connection pool that knows who waits for it, which SQLAlchemy's does not say."""

    pending = 0

    def connect(self) -> PoolProxiedConnection:
        """Return a connection of the pool."""
        self.pending += 1
        begun = time.perf_counter()
        try:
            return super().connect()
        except PoolTimeoutError:
            TIMEOUTS.inc()
            raise
        finally:
            WAIT_TIME.observe(time.perf_counter() - begun)
            self.pending -= 1


def instrument(engine: AsyncEngine, *, pool: str, tables: Collection[str], provider: TracerProvider) -> None:
    """Measure what passes through `engine`, which has a `MeasuredPool`; only names in `tables` become labels.

    `pool` names its connections, so that several engines of a process stay apart.
    """
    _Statements(frozenset(tables), provider.get_tracer(__name__)).attach(engine.dialect)

    def current() -> MeasuredPool:  # not the same for ever: `dispose` puts another in its place
        assert isinstance(engine.pool, MeasuredPool)
        return engine.pool

    CONNECTIONS.labels(pool, "used").set_function(lambda: current().checkedout())
    CONNECTIONS.labels(pool, "idle").set_function(lambda: current().checkedin())
    MAX_CONNECTIONS.labels(pool).set(current().size())
    PENDING_REQUESTS.labels(pool).set_function(lambda: current().pending)


class _Statement(NamedTuple):
    """What its text tells."""

    operation: str
    collection: str
    queries: int
    """1, or 0 for what nobody wrote: COMMIT, and what a transaction is told when it begins. Both take time."""
    traced: bool
    duration: Distribution
    attributes: dict[str, str]


class _Statements:
    """Stands between SQLAlchemy and its driver. BEGIN goes out, and is timed, with the statement that follows it.

    Not by SQLAlchemy's events: an engine that has `before_cursor_execute` spends 7 microseconds on each statement
    before that is called, and after COMMIT there is none.
    """

    def __init__(self, tables: frozenset[str], tracer: trace.Tracer) -> None:
        self._tables = tables
        self._tracer = tracer
        self._described = lru_cache(_KNOWN_STATEMENTS)(self._describe)

    def attach(self, dialect: Dialect) -> None:
        """Measure what `dialect`, which belongs to one engine, asks its driver to do."""
        for name in ("do_execute", "do_executemany", "do_commit"):
            setattr(dialect, name, self._around(getattr(dialect, name)))

    def _around(self, call: Callable[..., object]) -> Callable[..., None]:
        def run(target: object, *arguments: object) -> None:  # a cursor and the statement, or a connection alone
            statement = self._described(str(arguments[0]) if arguments else "COMMIT")
            span = self._span(statement) if statement.traced and trace.get_current_span().is_recording() else None
            begun = time.perf_counter()
            try:
                call(target, *arguments)
            except BaseException as exc:  # cancellation included
                error_type = getattr(exc, "sqlstate", None) or type(exc).__name__
                duration = OPERATION_DURATION.labels(statement.operation, statement.collection, error_type)
                if span is not None:  # without the message, which may hold what was to be written
                    span.set_attribute("error.type", error_type)
                    span.set_status(StatusCode.ERROR)
                raise
            else:
                duration = statement.duration
            finally:
                seconds = time.perf_counter() - begun
                duration.observe(seconds)
                tally = context.current().tally
                tally.db_seconds += seconds
                tally.db_queries += statement.queries
                if span is not None:
                    span.end()

        return run

    def _span(self, statement: _Statement) -> Span:
        name = f"{statement.operation} {statement.collection}".rstrip()
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=statement.attributes)

    def _describe(self, text: str) -> _Statement:
        (first_word,) = _FIRST_WORD.findall(text.upper())
        setting = text.startswith(_SETTING)
        operation = "SET" if setting else first_word if first_word in _OPERATIONS else OTHER
        targets = _TARGET.findall(text)
        collection = next((name for name in targets if name in self._tables), OTHER if targets else "")
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.query.text": text[:_LONGEST_TEXT],  # with placeholders: values travel apart from it
        }
        if collection:
            attributes["db.collection.name"] = collection
        duration = OPERATION_DURATION.labels(operation, collection, "")
        queries = int(operation != "COMMIT" and not setting)
        return _Statement(operation, collection, queries, not setting, duration, attributes)
