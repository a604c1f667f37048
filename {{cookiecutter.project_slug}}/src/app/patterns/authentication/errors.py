"""Why a caller was not let in, as branches of the tree in kit/errors.py.

Forbidden
├── Unauthenticated    we do not know who asks: no token, or not a good one
└── InsufficientScope  we know who asks, and they may not do this
Unavailable
└── KeysUnavailable    nobody can be recognised, because the issuer's keys cannot be had
"""

from typing import Literal

from app.kit.errors import Forbidden, Unavailable

Reason = Literal[
    "missing",
    "malformed",
    "algorithm",
    "unknown_key",
    "signature",
    "issuer",
    "audience",
    "claims",
    "expired",
    "not_yet_valid",
]
"""Which rule a token broke, for whoever counts."""


class Unauthenticated(Forbidden):
    """The token is missing or breaks a rule. The detail names the rule and repeats nothing of the token."""

    code = "unauthenticated"
    title = "Authentication required"

    def __init__(self, detail: str, reason: Reason) -> None:
        super().__init__(detail)
        self.reason = reason


class InsufficientScope(Forbidden):
    """The token is good, and does not carry the scope that the route asks for."""

    code = "insufficient_scope"
    title = "Not allowed with this token"


class KeysUnavailable(Unavailable):
    """The issuer's keys could not be fetched, and none are known that may still be used."""

    code = "keys_unavailable"
