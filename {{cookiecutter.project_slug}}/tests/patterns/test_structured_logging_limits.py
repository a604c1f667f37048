"""patterns/structured_logging: a loud event cannot drown the log, and what is dropped is counted and told."""

import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from app.kit.clock import ManualClock
from app.patterns.structured_logging import LoggingSettings
from app.patterns.structured_logging.limits import TokenBuckets
from app.patterns.structured_logging.lines import installed
from tests.support.eventually import eventually
from tests.support.log_lines import Log, configured_log

NEVER = 1e9


@pytest.fixture
def log() -> Iterator[Log]:
    """Take over the logging of this process: ten lines of an event at once, and then none."""
    with configured_log(rate_per_second=1e-9, burst=10, summary_seconds=NEVER) as log:
        yield log


def test_fifty_thousand_lines_become_ten(log: Log) -> None:
    """A loop that cries wolf leaves a few lines, the exact number of the others, and a summary."""
    wolf = structlog.get_logger("app")
    for _ in range(50_000):
        wolf.warning("wolf.came")
    installed().summarise()

    *lines, summary = log.lines
    assert [line["event"] for line in lines] == ["wolf.came"] * 10
    assert (summary["event"], summary["level"]) == ("logging.lines_dropped", "warning")
    assert (summary["total"], summary["dropped"]) == (49_990, {"wolf.came": 49_990})
    assert log.counted("log_lines_total", event="wolf.came") == 10
    assert log.counted("log_lines_dropped_total", event="wolf.came", reason="rate_limited") == 49_990


def test_errors_are_all_kept(log: Log) -> None:
    """What is at least an error is written however often it comes, by whomever."""
    for number in range(500):
        structlog.get_logger("app").error("order.lost", number=number)
        logging.getLogger("library").critical("lost")

    events = [line["event"] for line in log.lines]
    assert (events.count("order.lost"), events.count("python.library")) == (500, 500)


def test_a_loud_event_takes_nothing_from_another(log: Log) -> None:
    """Each event has its own bucket, and so has each library."""
    for _ in range(100):
        structlog.get_logger("app").info("loud.event")
        logging.getLogger("loud.library").warning("loud")
    structlog.get_logger("app").info("quiet.event")
    logging.getLogger("quiet.library").warning("quiet")

    assert [line["event"] for line in log.lines][-2:] == ["quiet.event", "python.quiet"]
    assert len(log.lines) == 22


def test_drops_are_exact_across_threads(log: Log) -> None:
    """Threads that log at once lose no line and no count."""

    def shout() -> None:
        for _ in range(2_000):
            structlog.get_logger("app").info("loud.event")

    threads = [threading.Thread(target=shout) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(log.lines) == log.counted("log_lines_total", event="loud.event") == 10
    assert log.counted("log_lines_dropped_total", event="loud.event", reason="rate_limited") == 7_990


async def test_a_summary_comes_by_itself() -> None:
    """Lines that were dropped are told of after a pause, also when nothing is logged any more."""
    with configured_log(rate_per_second=1e-9, burst=1, summary_seconds=0.05) as log:
        for _ in range(3):
            structlog.get_logger("app").info("loud.event")
        await eventually(lambda: len(log.lines) == 2)

    assert log.lines[-1]["dropped"] == {"loud.event": 2}


def test_a_summary_tells_each_line_once(log: Log) -> None:
    """What one summary has told, the next does not repeat; without drops there is none."""
    for _ in range(12):
        structlog.get_logger("app").info("loud.event")
    installed().summarise()
    installed().summarise()
    structlog.get_logger("app").info("loud.event")
    installed().summarise()

    assert [line["total"] for line in log.lines if line["event"] == "logging.lines_dropped"] == [2, 1]


def test_the_last_summary_comes_with_the_end_of_the_log() -> None:
    """Whoever replaces the log, or ends, tells first what is still untold."""
    with configured_log(rate_per_second=1e-9, burst=1, summary_seconds=NEVER) as log:
        for _ in range(3):
            structlog.get_logger("app").info("loud.event")

    assert log.lines[-1]["event"] == "logging.lines_dropped"


def test_a_bucket_fills_again() -> None:
    """A rate of two a second gives two more lines after a second, and never more than the burst."""
    clock = ManualClock()
    buckets = TokenBuckets(LoggingSettings(rate_per_second=2, burst=3), monotonic=clock.monotonic)

    at_once = [buckets.take("a.b") for _ in range(4)]
    clock.advance(1)
    a_second_later = [buckets.take("a.b") for _ in range(3)]
    clock.advance(3_600)
    an_hour_later = [buckets.take("a.b") for _ in range(4)]

    assert at_once == an_hour_later == [True, True, True, False]
    assert a_second_later == [True, True, False]
