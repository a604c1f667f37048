"""patterns/structured_logging: lines and bytes are counted by event, in a bounded number of series."""

import logging

import structlog
from prometheus_client import generate_latest

from tests.support.log_lines import configured_log


def test_lines_and_bytes_are_counted_by_event() -> None:
    """The counters hold what is in the stream, to the byte."""
    with configured_log() as log:
        for _ in range(3):
            structlog.get_logger("app").info("order.placed", order_id="o-1")
        logging.getLogger("library").warning("x")

    assert log.counted("log_lines_total", event="order.placed") == 3
    assert log.counted("log_lines_total", event="python.library") == 1
    written = log.counted("log_bytes_total", event="order.placed") + log.counted(
        "log_bytes_total", event="python.library"
    )
    assert written == len(log.stream.getvalue())


def test_events_that_are_made_up_share_one_name() -> None:
    """Past 100 events, the others are counted and limited together: no library makes series, or lines, without end."""
    with configured_log(rate_per_second=1e-9, burst=5) as log:
        for number in range(1_000):
            structlog.get_logger("app").info(f"made.up_{number}")

        exposed = generate_latest(log.registry).decode().splitlines()
        assert sum(line.startswith("log_lines_total{") for line in exposed) == 101
        assert log.counted("log_lines_total", event="_OTHER") == 5
        assert log.counted("log_lines_dropped_total", event="_OTHER", reason="rate_limited") == 895
