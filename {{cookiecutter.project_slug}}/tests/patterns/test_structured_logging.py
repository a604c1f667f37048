"""patterns/structured_logging: one shape for every line, whoever writes it."""

import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from app.kit import context
from app.patterns.structured_logging import LoggingSettings, configure
from app.patterns.structured_logging.lines import install

Read = Callable[[], list[dict[str, Any]]]
IDENTITY = {"service": "orders", "env": "test", "version": "1.2.3"}


@pytest.fixture
def stream() -> Iterator[io.BytesIO]:
    """Where the lines go; the process gets its own logging back afterwards."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers, root.level
    yield io.BytesIO()
    root.handlers, root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    install(None)


@pytest.fixture
def read(stream: io.BytesIO) -> Read:
    """Configure JSON logging; the value returns the lines so far."""
    configure(LoggingSettings(), **IDENTITY, stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_where_and_when_it_was_written(read: Read) -> None:
    """Every line carries time, level, identity, event and logger, besides its own fields."""
    structlog.get_logger("app.orders").info("order.placed", order_id="o-1", amount=1299)

    (line,) = read()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "info", **IDENTITY, "event": "order.placed", "logger": "app.orders", "order_id": "o-1", "amount": 1299,
    }  # fmt: skip


def test_the_standard_library_writes_the_same_shape(read: Read) -> None:
    """Uvicorn's and SQLAlchemy's lines have the keys of our own."""
    logging.getLogger("uvicorn.error").warning("Waiting for %s", "connections")
    structlog.get_logger("uvicorn.error").warning("Waiting for connections")

    theirs, ours = read()
    assert theirs.keys() == ours.keys()
    assert {**theirs, "timestamp": ""} == {**ours, "timestamp": ""}


def test_warnings_become_lines(stream: io.BytesIO) -> None:
    """A warning of a library is a line, not loose text on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        configure(LoggingSettings(), **IDENTITY, stream=stream)
        warnings.warn("this will be removed", stacklevel=1)

    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_a_line_leads_to_its_request_and_trace(read: Read) -> None:
    """Request id, tenant, actor, trace and span are added where they are known."""
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(0)))
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        with context.bind(context.Context(request_id="r-1", tenant="t-1", actor="a-1")):
            logging.getLogger("library").warning("inside")
    finally:
        otel_context.detach(token)

    (line,) = read()
    assert (line["request_id"], line["tenant"], line["actor"]) == ("r-1", "t-1", "a-1")
    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_an_exception_is_data(read: Read) -> None:
    """Type, message and frames, the innermost last, with the cause and without local variables."""
    try:
        try:
            int("secret-of-a-local")
        except ValueError as exc:
            raise RuntimeError("cannot place") from exc
    except RuntimeError:
        structlog.get_logger("app").exception("order.failed")

    exception = read()[0]["exception"]
    assert (exception["type"], exception["message"]) == ("RuntimeError", "cannot place")
    assert exception["frames"][-1]["function"] == "test_an_exception_is_data"
    assert exception["cause"]["type"] == "ValueError"
    assert "exc_info" not in read()[0]


def recurse(depth: int) -> None:
    """Raise from `depth` calls down, with a long message."""
    if depth == 0:
        raise ExceptionGroup("x" * 100_000, [ValueError(str(number)) for number in range(100)])
    recurse(depth - 1)


def test_an_exception_is_bounded(read: Read) -> None:
    """A deep stack, a long message and a wide group make one line of a few kilobytes."""
    try:
        recurse(500)
    except ExceptionGroup:
        logging.getLogger("x").exception("y" * 100_000)

    (line,) = read()
    assert len(line["exception"]["frames"]) == 25
    assert line["exception"]["frames"][-1]["function"] == "recurse"
    assert len(line["exception"]["exceptions"]) == 5
    assert len(json.dumps(line)) < 12_000


def test_a_field_cannot_forge_the_line(read: Read) -> None:
    """A field named like one of the line's own is renamed, and line breaks stay inside their string."""
    structlog.get_logger("app").info("x", service="forged", level="debug", trace_id="f", note='\n{"level":"error"}')

    (line,) = read()
    assert (line["service"], line["level"], line["service_"], line["level_"]) == ("orders", "info", "forged", "debug")
    assert "trace_id" not in line
    assert line["note"] == '\n{"level":"error"}'


class Unprintable:
    """Fails at being shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def cycle() -> list[object]:
    """Return a list that contains itself."""
    inner: list[object] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    "value",
    [object(), Unprintable(), 2**70, "\ud800", cycle(), {1: {2: 3}}, b"\xff", float("nan"), {Unprintable(): 1}],
    ids=["object", "no repr", "huge", "surrogate", "cycle", "int keys", "bytes", "nan", "key"],
)
def test_logging_never_raises(read: Read, value: object) -> None:
    """A value that JSON cannot hold is shown by its repr; the rest of the line stays."""
    structlog.get_logger("app").info("odd.value", value=value, other="kept")

    (line,) = read()
    assert (line["event"], line["other"]) == ("odd.value", "kept")
    assert "value" in line


def test_arguments_that_do_not_fit_the_message_lose_nothing(stream: io.BytesIO) -> None:
    """A library's broken call still leaves its message."""
    configure(LoggingSettings(), **IDENTITY, stream=stream)  # here, to take pytest's own handler away: it would raise

    logging.getLogger("library").error("%d things", "many")

    assert json.loads(stream.getvalue())["event"] == "%d things"


def test_lines_below_the_level_are_dropped(stream: io.BytesIO) -> None:
    """The level holds for structlog and the standard library alike."""
    configure(LoggingSettings(level="warning"), **IDENTITY, stream=stream)

    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    structlog.get_logger("a").warning("loud")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_the_addresses_of_outbound_calls_stay_out_of_the_log(read: Read) -> None:
    """Httpx announces each call with its query string at INFO; that line is dropped."""
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=secret")

    assert read() == []


def test_the_console_format_is_for_people(stream: io.BytesIO) -> None:
    """At a terminal, a line is text and an exception a readable stack."""
    configure(LoggingSettings(format="console"), **IDENTITY, stream=stream)

    try:
        int("x")
    except ValueError:
        structlog.get_logger("app").exception("order.failed", order_id="o-1")

    text = stream.getvalue().decode()
    assert "order.failed" in text
    assert "order_id" in text
    assert "ValueError: invalid literal" in text
    assert " in test_the_console_format_is_for_people" in text


@pytest.mark.parametrize(
    ("program", "event", "level"),
    [
        ("raise RuntimeError('gone')", "process.crashed", "critical"),
        ("t = threading.Thread(target=lambda: 1 / 0, name='worker'); t.start(); t.join()", "thread.crashed", "error"),
    ],
    ids=["process", "thread"],
)
def test_a_crash_is_a_line_too(program: str, event: str, level: str) -> None:
    """What ends a process or a thread is written in the same shape, and nothing else is."""
    setup = "import threading; from app.patterns.structured_logging import *; "
    setup += f"configure(LoggingSettings(), **{IDENTITY!r}); "
    done = subprocess.run([sys.executable, "-c", setup + program], capture_output=True, check=False)

    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (line["event"], line["level"], line["service"]) == (event, level, "orders")
    assert line["exception"]["frames"]
    assert done.stderr == b""
