"""patterns/structured_logging: the published schema is a schema, and refuses what is no line."""

from typing import Any

import jsonschema_rs
import pytest

from tests.support.log_lines import SCHEMA, violations

LINE: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.678Z", "level": "info", "service": "orders", "env": "test", "version": "1",
    "event": "order.placed", "request_id": "r-1", "trace_id": "a" * 32, "span_id": "b" * 16, "tenant": None,
    "actor": None, "module": "app.orders", "error_code": None,
}  # fmt: skip
REQUEST = LINE | {
    "event": "http.request", "method": "GET", "route": "/v1/orders", "status": 200, "duration_ms": 1.5,
    "request_bytes": 0, "response_bytes": 2,
}  # fmt: skip
FRAME = {"module": "app.orders", "line": 1, "function": "place"}
EXCEPTION: dict[str, Any] = {"type": "ValueError", "message": "no", "frames": [FRAME]}


def test_it_is_a_schema() -> None:
    """The file keeps to the draft that it names."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert jsonschema_rs.meta.is_valid(SCHEMA)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINE, id="thirteen"),
        pytest.param(LINE | {"order_id": "o-1", "checks": {"database": {"status": "fail"}}}, id="further fields"),
        pytest.param(LINE | {"exception": EXCEPTION | {"cause": EXCEPTION, "exceptions": [EXCEPTION]}}, id="exception"),
        pytest.param(REQUEST, id="request"),
        pytest.param(REQUEST | {"level": "error", "status": 500, "exception": EXCEPTION}, id="failed request"),
        pytest.param(REQUEST | {"db_queries": 2, "db_ms": 0.5, "flags": {"pay": "new"}}, id="request with a tally"),
        pytest.param(LINE | {"event": "logging.lines_dropped", "total": 2, "dropped": {"a.b": 2}}, id="summary"),
    ],
)
def test_a_line_is_taken(line: dict[str, Any]) -> None:
    """What the process writes is allowed."""
    assert violations(line) == []


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_a_line_without_one_of_the_thirteen_is_refused(name: str) -> None:
    """Each of them is there on every line, null where it does not apply."""
    assert violations({key: value for key, value in LINE.items() if key != name}) != []


@pytest.mark.parametrize(
    ("base", "field", "value"),
    [
        (LINE, "timestamp", "2026-01-02 03:04:05.678Z"),
        (LINE, "timestamp", "2026-01-02T03:04:05.678+01:00"),
        (LINE, "timestamp", "2026-01-02T03:04:05Z"),
        (LINE, "timestamp", "2026-13-02T03:04:05.678Z"),
        (LINE, "level", "notice"),
        (LINE, "event", "Something happened"),
        (LINE, "event", "placed"),
        (LINE, "request_id", ""),
        (LINE, "trace_id", "0" * 32),
        (LINE, "trace_id", "A" * 32),
        (LINE, "span_id", "b" * 15),
        (LINE, "actor", "a" * 129),
        (LINE, "error_code", "No such order"),
        (LINE, "module", None),
        (LINE, "name with blanks", 1),
        (LINE, "deep", {"a": {"b": {"c": 1}}}),
        (LINE, "long", "x" * 4_001),
        (LINE, "many", [0] * 51),
        (LINE, "truncated", False),
        (LINE, "exception", "ValueError: no"),
        (LINE, "exception", EXCEPTION | {"locals": {}}),
        (LINE, "exception", EXCEPTION | {"frames": [FRAME] * 26}),
        (LINE, "event", "http.request"),
        (LINE, "event", "process.crashed"),
        (LINE, "event", "python.uvicorn"),
        (LINE, "event", "logging.lines_dropped"),
        (REQUEST, "path", "/v1/orders/7"),
        (REQUEST, "method", "EVIL"),
        (REQUEST, "status", 500),
        (REQUEST, "status", "fail"),
        (REQUEST, "duration_ms", -1),
        (REQUEST, "sample_ratio", 1),
        (REQUEST, "db_queries", 2),
        (REQUEST, "http_ms", 2.5),
        (REQUEST, "retries", 0),
        (REQUEST, "refused_by", ""),
        (REQUEST, "client_disconnected", False),
        (REQUEST, "flags", {}),
    ],
)
def test_what_is_no_line_is_refused(base: dict[str, Any], field: str, value: object) -> None:
    """One wrong field is enough: on any line, or on one of this event."""
    assert violations(base | {field: value}) != []
