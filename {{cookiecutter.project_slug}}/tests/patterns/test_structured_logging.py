"""patterns/structured_logging: one shape for every line, whoever writes it."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from app.kit import context
from tests.support.log_lines import IDENTITY, Log, configured_log

NOTHING = {"request_id": None, "trace_id": None, "span_id": None, "tenant": None, "actor": None, "error_code": None}


@pytest.fixture
def log() -> Iterator[Log]:
    """Take over the logging of this process, in JSON, and give it back after the test."""
    with configured_log() as log:
        yield log


def test_a_line_says_where_and_when_it_was_written(log: Log) -> None:
    """Every line carries the thirteen fields, null where there is nothing to say, and then its own."""
    before = datetime.now(UTC)
    structlog.get_logger("app.orders").info("order.placed", order_id="o-1", amount=1299)

    (line,) = log.lines
    written = datetime.fromisoformat(line.pop("timestamp"))
    assert line == {
        "level": "info", **IDENTITY, "event": "order.placed", **NOTHING, "module": "app.orders", "order_id": "o-1",
        "amount": 1299,
    }  # fmt: skip
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= written <= datetime.now(UTC)


def test_the_standard_library_writes_the_same_shape(log: Log) -> None:
    """What a library says is free text: the event names the library, and the text is the message."""
    logging.getLogger("uvicorn.error").warning("Waiting for %s", "connections")

    (line,) = log.lines
    assert line.pop("timestamp")
    assert line == {
        "level": "warning", **IDENTITY, "event": "python.uvicorn", **NOTHING, "module": "uvicorn.error",
        "message": "Waiting for connections",
    }  # fmt: skip


def test_a_library_with_handlers_of_its_own_writes_no_other_lines() -> None:
    """What it has set up before is taken away: its lines come once, and in our shape."""
    elsewhere = io.StringIO()
    library = logging.getLogger("library_with_handlers")
    library.addHandler(logging.StreamHandler(elsewhere))
    library.propagate = False

    with configured_log() as log:
        library.warning("said")

    assert ([line["message"] for line in log.lines], elsewhere.getvalue()) == (["said"], "")


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "debug"), (10, "debug"), (25, "info"), (35, "warning"), (45, "error"), (99, "critical")],
)
def test_a_library_cannot_invent_levels(number: int, level: str) -> None:
    """A level between ours becomes the next one below."""
    with configured_log(level="debug") as log:
        library = logging.getLogger("library")
        library.setLevel(1)
        library.log(number, "x")

    assert [line["level"] for line in log.lines] == [level]


def test_a_sentence_is_no_event(log: Log) -> None:
    """Events have static names; anything else that is logged is a message, under the name of the module."""
    structlog.get_logger("library.sub").info("Something happened to %s", 7, message="mine")

    (line,) = log.lines
    assert (line["event"], line["message"], line["message_"]) == ("python.library", "Something happened to 7", "mine")


def test_a_library_cannot_pose_as_another_stream(log: Log) -> None:
    """Free text that looks like the name of a security event does not become one."""
    logging.getLogger("security.audit").warning("security.token_refused")

    assert [line["event"] for line in log.lines] == ["python.security"]


def test_warnings_become_lines() -> None:
    """A warning of a library is a line, not loose text on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        with configured_log() as log:
            warnings.warn("this will be removed", stacklevel=1)

    (line,) = log.lines
    assert (line["event"], line["level"], line["module"]) == ("python.warnings", "warning", "py.warnings")
    assert "this will be removed" in line["message"]


def test_a_line_leads_to_its_request_and_trace(log: Log) -> None:
    """Request id, tenant, actor, trace and span are on each line where they are known."""
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(0)))
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        with context.bind(context.Context(request_id="r-1", tenant="t-1", actor="a-1")):
            logging.getLogger("library").warning("inside")
    finally:
        otel_context.detach(token)

    (line,) = log.lines
    assert (line["request_id"], line["tenant"], line["actor"]) == ("r-1", "t-1", "a-1")
    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_ids_from_elsewhere_are_bounded(log: Log) -> None:
    """A request id, tenant or actor that came with an event, however long or odd, still makes a line."""
    with context.bind(context.Context(request_id="r" * 999, tenant="t" * 999, actor="\ud800")):
        structlog.get_logger("m" * 999).info("order.placed")

    (line,) = log.lines
    assert [len(line[name]) for name in ("request_id", "tenant", "module")] == [128, 128, 128]
    assert line["actor"] == "\\ud800"


def test_a_lone_surrogate_in_a_request_id_makes_a_line(log: Log) -> None:
    """What JSON cannot carry is escaped where it stands."""
    with context.bind(context.Context(request_id="r-\ud800")):
        structlog.get_logger("app").info("order.placed")

    assert log.lines[0]["request_id"] == "r-\\ud800"


def test_a_field_cannot_forge_the_line(log: Log) -> None:
    """A field named like one of the line's own is renamed, and line breaks stay inside their string."""
    forged = {"service": "forged", "level": "debug", "exception": "none", "truncated": True, "le vel": 1}
    structlog.get_logger("app").info("order.placed", trace_id="f", note='\n{"level":"error"}', **forged)

    (line,) = log.lines
    assert (line["service"], line["level"], line["trace_id"]) == ("orders", "info", None)
    assert (line["service_"], line["level_"], line["trace_id_"], line["exception_"]) == ("forged", "debug", "f", "none")
    assert (line["truncated_"], line["le_vel"], line["note"]) == (True, 1, '\n{"level":"error"}')


@pytest.mark.parametrize(
    ("code", "written"), [("order_not_found", "order_not_found"), ("Not a code!", None), (7, None)]
)
def test_an_error_code_has_its_place(log: Log, code: object, written: str | None) -> None:
    """`error_code` is one of the thirteen, and nothing but a code gets into it."""
    structlog.get_logger("app").info("order.refused", error_code=code)

    assert log.lines[0]["error_code"] == written


class Mute:
    """Fails at being shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("message", "arguments", "written"),
    [
        pytest.param("%d things", ["many"], "%d things", id="arguments that do not fit"),
        pytest.param("%s things", [Mute()], "%s things", id="arguments that cannot be shown"),
        pytest.param(Mute(), [], "<Mute: __repr__ failed>", id="message that cannot be shown"),
        pytest.param({"things": 2}, [], "{'things': 2}", id="message that is none"),
    ],
)
def test_a_librarys_broken_call_loses_nothing(message: object, arguments: list[object], written: str) -> None:
    """It still leaves its message, and nothing is raised."""
    with configured_log() as log:  # here, to take pytest's own handler away: it would raise
        logging.getLogger("library").error(message, *arguments)

    assert log.lines[0]["message"] == written


def test_lines_below_the_level_are_dropped() -> None:
    """The level holds for structlog and the standard library alike."""
    with configured_log(level="warning") as log:
        structlog.get_logger("a").info("order.placed")
        logging.getLogger("b").info("quiet")
        structlog.get_logger("a").warning("order.lost")

    assert [line["event"] for line in log.lines] == ["order.lost"]


def test_the_addresses_of_outbound_calls_stay_out_of_the_log(log: Log) -> None:
    """Httpx announces each call with its query string at INFO; that line is dropped."""
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=secret")

    assert log.lines == []


def test_before_the_settings_are_known_the_identity_is_null() -> None:
    """The first lines of a process cannot say which service it is, and have the same shape all the same."""
    with configured_log(identity={}) as log:
        structlog.get_logger("app").info("process.started")

    (line,) = log.lines
    assert (line["service"], line["env"], line["version"]) == (None, None, None)


def test_the_console_format_is_for_people() -> None:
    """At a terminal, a line is text without what is not known, and an exception a readable stack."""
    with configured_log(format="console") as log:
        try:
            int("x")
        except ValueError:
            structlog.get_logger("app").exception("order.failed", order_id="o-1")

    text = log.stream.getvalue().decode()
    assert "order.failed" in text
    assert "order_id" in text
    assert "ValueError: invalid literal" in text
    assert " in test_the_console_format_is_for_people" in text
    assert "tenant" not in text


def test_the_whole_text_of_a_json_line_is_one_line(log: Log) -> None:
    """Whatever is logged, a line ends where its object ends."""
    logging.getLogger("library").error("first\nsecond\r\nthird\u2028")

    assert json.loads(log.stream.getvalue().removesuffix(b"\n"))["message"] == "first\nsecond\r\nthird\u2028"
    assert log.stream.getvalue().count(b"\n") == 1
