"""Metrics of the inbox; each name is spelled here and nowhere else in the code."""

from prometheus_client import Counter, Histogram

MESSAGES_HANDLED = Counter("inbox_messages_handled_total", "Messages taken from the broker.", ["consumer", "outcome"])
HANDLE_SECONDS = Histogram(
    "inbox_handle_duration_seconds",
    "Handling one message, commit included.",
    ["consumer"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
DELIVERY_SECONDS = Histogram(
    "inbox_delivery_delay_seconds",
    "From the event's time to its effect.",
    ["consumer"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5, 30.5, 300.5),
)
OUTCOMES = ("handled", "duplicate", "failed", "malformed")


def initialise(consumer: str) -> None:
    """Make the series exist before their first event, which rate() would otherwise miss."""
    for outcome in OUTCOMES:
        MESSAGES_HANDLED.labels(consumer, outcome)
