"""Metrics of the outbox; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, gauge, histogram

MESSAGES_PUBLISHED = counter(
    "outbox_messages_published_total", "Events acknowledged by the broker.", {"duplicate": ("true", "false")}
)
PUBLISH_FAILURES = counter("outbox_publish_failures_total", "Events the broker refused; they are tried again.")
PASS_FAILURES = counter(
    "outbox_pass_failures_total", "Relay passes that were rolled back.", {"reason": ("broker", "database")}
)
PASS_SECONDS = histogram(
    "outbox_pass_duration_seconds",
    "One relay pass: claim, publish, delete.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
OLDEST_AGE_SECONDS = gauge("outbox_oldest_age_seconds", "Age of the oldest unpublished event; 0 when there is none.")
