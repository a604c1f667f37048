"""Metrics of authentication; each name is spelled here and nowhere else in the code."""

from typing import get_args

from app.kit.instruments import counter

from .errors import Reason

TOKENS = counter(
    "authentication_tokens_total",
    "Tokens that were judged, by what came of it.",
    {"outcome": ("accepted", "keys_unavailable", *get_args(Reason))},
)
REFUSALS = counter(
    "authorization_refusals_total",
    "Callers without what a route asks for.",
    {"reason": ("no_token", "scope")},
)
