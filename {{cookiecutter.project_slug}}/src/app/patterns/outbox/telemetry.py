"""Metrics of the outbox; each name is spelled here and nowhere else in the code."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES_PUBLISHED = Counter("outbox_messages_published_total", "Events acknowledged by the broker.", ["duplicate"])
PUBLISH_FAILURES = Counter("outbox_publish_failures_total", "Events the broker refused; they are tried again.")
PASS_FAILURES = Counter("outbox_pass_failures_total", "Relay passes that were rolled back.", ["reason"])
PASS_SECONDS = Histogram(
    "outbox_pass_duration_seconds",
    "One relay pass: claim, publish, delete.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5),
)
OLDEST_AGE_SECONDS = Gauge("outbox_oldest_age_seconds", "Age of the oldest unpublished event; 0 when there is none.")

for _duplicate in ("true", "false"):  # a series that appears with its first event hides that event from rate()
    MESSAGES_PUBLISHED.labels(_duplicate)
for _reason in ("broker", "database"):
    PASS_FAILURES.labels(_reason)
