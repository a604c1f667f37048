"""Metrics of the outbox; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, gauge, histogram

MESSAGES_PUBLISHED = counter(
    "outbox_messages_published_total", "Events acknowledged by the broker.", {"duplicate": ("true", "false")}
)
PUBLISH_FAILURES = counter("outbox_publish_failures_total", "Events the broker refused; they are tried again.")
PASS_FAILURES = counter(
    "outbox_pass_failures_total",
    "Relay passes that were rolled back.",
    {"reason": ("broker", "broker_full", "database")},
)
PASS_SECONDS = histogram(
    "outbox_pass_duration_seconds",
    "One relay pass: claim, publish, delete.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
PUBLISH_SECONDS = histogram(
    "outbox_publish_duration_seconds",
    "Publishing events side by side, one of each aggregate, until the broker has answered for all.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
EVENTS_PARKED = counter(
    "outbox_events_parked_total",
    "Events given up: refused too often, or never to be taken.",
    {"reason": ("refused", "final")},
)
WAITING_EVENTS = gauge("outbox_waiting_events", "Events not yet published; no more than 10 000 are counted.")
PARKED_EVENTS = gauge("outbox_parked_events", "Events that wait for a person; no more than 10 000 are counted.")
OLDEST_AGE_SECONDS = gauge("outbox_oldest_age_seconds", "Age of the oldest unpublished event; 0 when there is none.")


def initialise() -> None:
    """Make the series exist before their first event, which rate() would otherwise miss."""
    for duplicate in ("true", "false"):
        MESSAGES_PUBLISHED.labels(duplicate)
    for reason in ("broker", "broker_full", "database"):
        PASS_FAILURES.labels(reason)
    for reason in ("refused", "final"):
        EVENTS_PARKED.labels(reason)
