"""Metrics of idempotency keys; each name is spelled here and nowhere else in the code."""

from typing import Literal

from app.kit import context
from app.kit.instruments import counter

Outcome = Literal["new", "replayed", "in_flight", "mismatch", "resumed"]
REQUESTS = counter(
    "idempotency_requests_total",
    "Requests with an idempotency key, by what was known about it.",
    {"outcome": ("new", "replayed", "in_flight", "mismatch", "resumed")},
)


def note(outcome: Outcome) -> None:
    """Count a request, and tell its log line."""
    REQUESTS.labels(outcome).inc()
    context.current().tally.idempotency = outcome
