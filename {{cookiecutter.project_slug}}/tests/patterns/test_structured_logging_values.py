"""patterns/structured_logging: whatever is handed in, the line stays small, plain and true to the schema."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from app.kit.errors import Conflict
from app.patterns.structured_logging.rendering import MAX_LINE
from tests.support.log_lines import Log, configured_log


@pytest.fixture
def log() -> Iterator[Log]:
    """Take over the logging of this process, in JSON, and give it back after the test."""
    with configured_log() as log:
        yield log


class Unprintable:
    """Fails at being shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"


@dataclass
class Point:
    """An object: ids are logged, not objects, but a mistake must not cost the line."""

    x: int


def cycle() -> list[object]:
    """Return a list that contains itself."""
    inner: list[object] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param(2**63, 2**63, id="integer of 64 bits"),
        pytest.param(2**70, str(2**70), id="integer of more"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(True, True, id="boolean"),
        pytest.param(None, None, id="null"),
        pytest.param(Colour.RED, "red", id="enumeration"),
        pytest.param(UUID(int=7), str(UUID(int=7)), id="UUID"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
        pytest.param(Path("/x"), "/x", id="path"),
        pytest.param(datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00", id="time"),
        pytest.param(Point(1), "Point(x=1)", id="object"),
        pytest.param(b"\xff", r"b'\xff'", id="bytes"),
        pytest.param("\ud800", "\\ud800", id="lone surrogate"),
        pytest.param(Unprintable(), "<Unprintable: __repr__ failed>", id="no repr"),
        pytest.param({Unprintable(): 1}, {"_Unprintable___repr___failed_": 1}, id="no repr of a key"),
        pytest.param({1: {2: {3: 4}}}, {"1": {"2": "<dict of 1>"}}, id="nested deeper than two"),
        pytest.param((1, [2, {3}]), [1, [2, "<set of 1>"]], id="sequences"),
        pytest.param(cycle(), [["<list of 1>"]], id="cycle"),
    ],
)
def test_a_value_becomes_plain(log: Log, value: object, written: object) -> None:
    """A value that JSON cannot hold is shown by its text; the rest of the line stays, and nothing is raised."""
    structlog.get_logger("app").info("odd.value", value=value, other="kept")

    (line,) = log.lines
    assert (line["value"], line["other"]) == (written, "kept")


@pytest.mark.parametrize("value", [SecretStr("hunter2"), SecretBytes(b"hunter2"), {"deep": [SecretStr("hunter2")]}])
def test_a_secret_by_type_is_hidden(log: Log, value: object) -> None:
    """What pydantic marks as secret is replaced, however deep it lies."""
    structlog.get_logger("app").info("odd.value", value=value)

    assert "[secret]" in log.stream.getvalue().decode()
    assert "hunter2" not in log.stream.getvalue().decode()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Authorization",
        "access_token",
        "client-secret",
        "set-cookie",
        "apiKey",
        "private_key",
        "credentials",
    ],
)
def test_a_secret_by_name_is_hidden(log: Log, name: str) -> None:
    """A field of such a name is replaced whatever it holds, also inside of another."""
    structlog.get_logger("app").info("odd.value", **{name: "hunter2"}, inside={name: 7})

    (line,) = log.lines
    assert (line[name], line["inside"]) == ("[secret]", {name: "[secret]"})


def test_texts_and_collections_are_bounded(log: Log) -> None:
    """A huge value costs a few kilobytes, not megabytes."""
    structlog.get_logger("app").info("odd.value", text="x" * 10**6, many=list(range(10**4)))

    (line,) = log.lines
    assert 3_000 < len(line["text"]) <= 4_000
    assert (line["text"][-1], len(line["many"])) == ("…", 50)


def test_a_line_is_bounded(log: Log) -> None:
    """Of a line that is too long the large fields are left out, and it says so; the small ones stay."""
    fields = {f"field_{number}": "x" * 4_000 for number in range(60)}
    structlog.get_logger("app").info("odd.value", order_id="o-1", **fields)

    (line,) = log.lines
    assert (line["order_id"], line["truncated"], "field_7" in line) == ("o-1", True, False)
    assert len(log.stream.getvalue()) < 1_000


def test_a_long_line_keeps_the_end_of_the_stack(log: Log) -> None:
    """Where the error is stays, with its type, when the rest of the line is too much."""
    try:
        int("x" * 1_000)
    except ValueError:
        structlog.get_logger("app").exception("odd.value", **{f"field_{number}": "x" * 4_000 for number in range(60)})

    (line,) = log.lines
    assert (line["truncated"], line["exception"]["type"]) == (True, "ValueError")
    assert line["exception"]["frames"][-1]["function"] == "test_a_long_line_keeps_the_end_of_the_stack"
    assert len(log.stream.getvalue()) <= MAX_LINE


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=9)
VALUES = st.recursive(
    LEAVES | st.builds(SecretStr, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=60) | st.dictionaries(st.text(max_size=80) | st.integers(), inner),
    max_leaves=80,
)


@given(event=st.text() | st.from_regex(r"[a-z]+\.[a-z]+"), fields=st.dictionaries(st.text(max_size=80), VALUES))
def test_no_event_and_no_field_breaks_the_schema(event: str, fields: dict[str, object]) -> None:
    """Whatever names and values are logged, the line keeps to the published schema and to its length."""
    fields = {name: value for name, value in fields.items() if name not in {"event", "level", "self"}}
    with configured_log() as log:
        structlog.get_logger("library").bind(**fields).error(event.replace("%", ""))

    assert len(log.lines) == 1
    assert len(log.stream.getvalue()) <= MAX_LINE


def test_an_error_of_ours_brings_its_code(log: Log) -> None:
    """An exception with a stable code fills in `error_code` where the call did not."""
    structlog.get_logger("app").error("order.failed", exc_info=Conflict("It is taken."))

    assert log.lines[0]["error_code"] == "conflict"
