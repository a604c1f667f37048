"""Metrics of feature flags; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, gauge

_FLAGS = 30
_ANSWERS = 10
EVALUATIONS = counter(
    "feature_flag_evaluations_total",
    "Times that a flag was asked for, by its answer.",
    {"flag": _FLAGS, "variant": _ANSWERS},
    limit=_FLAGS * 3,
)
FETCHES = counter(
    "feature_flags_fetches_total",
    "Questions to the flag server, by what came of them.",
    {"outcome": ("changed", "unchanged", "timeout", "unreachable", "refused", "malformed", "crashed")},
)
LAST_FETCH = gauge(
    "feature_flags_last_fetch_timestamp_seconds",
    "When the server last confirmed the rules that are used, or when it was first asked; 0 without a server.",
)
