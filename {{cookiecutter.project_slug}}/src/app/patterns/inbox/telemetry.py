"""Metrics of the inbox; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, histogram

_OUTCOMES = ("handled", "duplicate", "failed", "malformed")
_CONSUMERS = 10  # of one process
MESSAGES_HANDLED = counter(
    "inbox_messages_handled_total",
    "Messages taken from the broker.",
    {"consumer": _CONSUMERS, "outcome": _OUTCOMES},
)
HANDLE_SECONDS = histogram(
    "inbox_handle_duration_seconds",
    "Handling one message, commit included.",
    {"consumer": _CONSUMERS},
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
DELIVERY_SECONDS = histogram(
    "inbox_delivery_delay_seconds",
    "From the event's time to its effect.",
    {"consumer": _CONSUMERS},
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5, 30.5, 300.5),
)
EVENTS_FORGOTTEN = counter(
    "inbox_events_forgotten_total", "Events whose effect lies so far back that they left the inbox."
)


def initialise(consumer: str) -> None:
    """Make the series exist before their first event, which rate() would otherwise miss."""
    for outcome in _OUTCOMES:
        MESSAGES_HANDLED.labels(consumer, outcome)
