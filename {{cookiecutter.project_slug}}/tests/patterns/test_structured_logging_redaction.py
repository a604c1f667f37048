"""patterns/structured_logging: text that others wrote is redacted wherever it enters a line."""

import logging
from collections.abc import Callable

import pytest
import structlog

from app.kit import context
from tests.support.log_lines import configured_log

CANARY = "ada.lovelace@example.com"


def failing(*, message: str = "no", cause: Exception | None = None) -> Exception:
    """Return an exception with a message and a cause."""
    exc = RuntimeError(message)
    exc.__cause__ = cause
    return exc


def our_line(**fields: object) -> None:
    """Log an event of ours."""
    structlog.get_logger("app").error("order.failed", **fields)


def library_line(message: str, *args: object) -> None:
    """Log free text, as libraries do."""
    logging.getLogger("library").error(message, *args)


def line_of(work: context.Context) -> None:
    """Log an event in a context."""
    with context.bind(work):
        our_line()


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(lambda: our_line(text=f"to {CANARY}!"), id="field"),
        pytest.param(lambda: our_line(many=[CANARY]), id="field with a list"),
        pytest.param(lambda: our_line(checks={"detail": {"to": CANARY}}), id="field with an object"),
        pytest.param(lambda: our_line(checks={CANARY: 1}), id="name inside a field"),
        pytest.param(lambda: our_line(thing=failing(message=CANARY)), id="repr of an object"),
        pytest.param(lambda: structlog.get_logger("app").error(f"Mail to {CANARY}"), id="sentence"),
        pytest.param(lambda: library_line(f"Mail to {CANARY}"), id="message of a library"),
        pytest.param(lambda: library_line("Mail to %s", CANARY), id="argument of a message"),
        pytest.param(lambda: our_line(exc_info=failing(message=CANARY)), id="exception"),
        pytest.param(lambda: our_line(exc_info=failing(cause=ValueError(CANARY))), id="cause"),
        pytest.param(lambda: our_line(exc_info=ExceptionGroup("", [ValueError(CANARY)])), id="exception in a group"),
        pytest.param(lambda: our_line(exc_info=ExceptionGroup(CANARY, [ValueError()])), id="message of a group"),
        pytest.param(lambda: line_of(context.Context(tenant=CANARY)), id="tenant"),
        pytest.param(lambda: line_of(context.Context(actor=CANARY)), id="actor"),
    ],
)
def test_personal_data_in_free_text_is_replaced(log: Callable[[], None]) -> None:
    """An e-mail address reaches no line, and a marker says that one was there."""
    with configured_log() as written:
        log()

    (line,) = written.stream.getvalue().decode().splitlines()
    assert ("lovelace" in line, "email" in line) == (False, True)


@pytest.mark.parametrize("before", [3_700, 3_990, 4_000], ids=["before", "at", "after"])
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(before: int) -> None:
    """Cutting comes after looking, and what could not be looked at is not shown."""
    with configured_log() as written:
        our_line(text="x" * before + f" {CANARY}")

    (line,) = written.stream.getvalue().decode().splitlines()
    assert "lovelace" not in line
