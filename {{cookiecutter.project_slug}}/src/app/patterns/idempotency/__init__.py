"""Idempotency keys: a request that is sent again is done once, and answered as it was the first time.

Use when: clients retry over a network what must not happen twice, such as an order or a payment.
Not when: the request is idempotent by nature, as PUT and DELETE are - repeating it is harmless already.
Costs:    with a key one statement more in the transaction that begins the work and one in that which ends it, a row of
          the answer's size until it expires; without a key one look at the headers.
Fails:    killed before the first commit -> nothing is left, the retry does it; killed later -> 409 for
          `in_flight_seconds`, then the retry is answered from what was made; database down -> 503, like the work.
Copy:     this folder, kit/asgi.py, kit/clock.py, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py,
          kit/instruments.py, kit/problems.py, kit/redaction.py, migration 0004_idempotency; map `IdempotencyKeyInvalid`
          to 400.
Origin:   draft-ietf-httpapi-idempotency-key-header; "Implementing Stripe-like Idempotency Keys in Postgres" (Leach,
          2017).

The key's row is written by the transactions of the work itself, so that key and work are there together or not at all.
Two requests with one key meet at an advisory lock that ends with the transaction: the second one never waits, and
nothing that died can hold it. Answers below 500 that the work itself decided are kept; a request that was refused
before that leaves no trace, and may be corrected and sent again under its key.
"""

from .attempt import Attempt, Idempotency, attempt
from .errors import IdempotencyKeyInvalid, IdempotencyKeyReused, RequestInFlight
from .expiry import sweep
from .header import DESCRIBED
from .once import UNKEYED, Once
from .settings import IdempotencySettings, described

__all__ = [
    "DESCRIBED",
    "UNKEYED",
    "Attempt",
    "Idempotency",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyReused",
    "IdempotencySettings",
    "Once",
    "RequestInFlight",
    "attempt",
    "described",
    "sweep",
]
