"""patterns/structured_logging: exceptions as data, cut to a bound."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.support.log_lines import Log, configured_log


@pytest.fixture
def log() -> Iterator[Log]:
    """Take over the logging of this process, in JSON, and give it back after the test."""
    with configured_log() as log:
        yield log


def test_an_exception_is_data(log: Log) -> None:
    """Type, message and frames, the innermost last, with the cause and without local variables."""
    try:
        try:
            int("secret-of-a-local")
        except ValueError as exc:
            raise RuntimeError("cannot place") from exc
    except RuntimeError:
        structlog.get_logger("app").exception("order.failed")

    exception = log.lines[0]["exception"]
    assert (exception["type"], exception["message"]) == ("RuntimeError", "cannot place")
    assert exception["frames"][-1]["function"] == "test_an_exception_is_data"
    assert exception["cause"]["type"] == "ValueError"
    assert exception["cause"]["message"] == "invalid literal for int() with base 10: '…'"  # without the value
    assert "exc_info" not in log.lines[0]


@pytest.mark.parametrize("exc_info", [True, ZeroDivisionError("gone")], ids=["the current one", "one by itself"])
def test_an_exception_is_named_in_several_ways(log: Log, exc_info: bool | Exception) -> None:  # noqa: FBT001 - a case
    """`exc_info` may be True or an exception, for structlog and for the standard library."""
    try:
        assert 1 / 0
    except ZeroDivisionError:
        structlog.get_logger("app").warning("order.failed", exc_info=exc_info)
        logging.getLogger("library").warning("failed", exc_info=exc_info)

    assert [line["exception"]["type"] for line in log.lines] == ["ZeroDivisionError"] * 2


def test_no_exception_is_no_exception(log: Log) -> None:
    """`exc_info` outside of any failure leaves no trace."""
    structlog.get_logger("app").warning("order.failed", exc_info=True)
    logging.getLogger("library").warning("failed", exc_info=True)  # noqa: LOG014 - the case

    assert [line.keys() & {"exception", "exc_info"} for line in log.lines] == [set(), set()]


def recurse(depth: int) -> None:
    """Raise from `depth` calls down, with a long message."""
    if depth == 0:
        raise ExceptionGroup("x" * 100_000, [ValueError(str(number)) for number in range(100)])
    recurse(depth - 1)


def test_an_exception_is_bounded(log: Log) -> None:
    """A deep stack, a long message and a wide group make one line of a few kilobytes."""
    try:
        recurse(500)
    except ExceptionGroup:
        logging.getLogger("x").exception("y" * 100_000)

    exception = log.lines[0]["exception"]
    assert (len(exception["frames"]), exception["frames"][-1]["function"]) == (25, "recurse")
    assert (len(exception["message"]), len(exception["exceptions"])) == (1_000, 5)
    assert len(log.stream.getvalue()) < 12_000


def group_of(depth: int) -> ExceptionGroup[Exception]:
    """Return groups inside groups."""
    inside = [group_of(depth - 1) if depth else ValueError("leaf") for _ in range(5)]
    return ExceptionGroup(f"depth {depth}", inside)


def test_groups_inside_groups_are_bounded(log: Log) -> None:
    """Of a tree of exceptions, eight are shown in all."""
    structlog.get_logger("app").error("order.failed", exc_info=group_of(4))

    assert log.stream.getvalue().count(b'"type"') == 8


def test_a_chain_without_end_is_cut(log: Log) -> None:
    """A failure that is its own cause makes one line."""
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger("app").error("order.failed", exc_info=first)

    assert log.stream.getvalue().count(b'"type"') == 4


class Mute(Exception):
    """Fails at saying what is wrong."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


def test_an_exception_that_cannot_be_shown_is_named(log: Log) -> None:
    """A broken `__str__` costs the message, not the line."""
    structlog.get_logger("app").error("order.failed", exc_info=Mute())

    assert log.lines[0]["exception"]["message"] == "<no message: __str__ failed>"
