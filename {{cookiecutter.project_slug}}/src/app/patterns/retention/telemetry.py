"""Metrics of retention; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import gauge

LAST_SUCCESS = gauge(
    "retention_last_success_timestamp_seconds",
    "When a run has last removed all that was due of a table; 0 if none ever did.",
    {"table": 20},
)
