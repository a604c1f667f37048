"""What can be wrong with a key.

Invalid
├── IdempotencyKeyInvalid   the header holds no key; 400
└── IdempotencyKeyReused    the key was used for something else
Conflict
└── RequestInFlight         the first request with this key has no answer yet
"""

from app.kit.errors import Conflict, Invalid


class IdempotencyKeyInvalid(Invalid):
    """The header Idempotency-Key is there, and holds no key or more than one."""

    code = "idempotency_key_invalid"
    title = "Invalid idempotency key"


class IdempotencyKeyReused(Invalid):
    """The key belongs to a request with another content."""

    code = "idempotency_key_reused"
    title = "Idempotency key used for another request"


class RequestInFlight(Conflict):
    """A request with this key is being worked on."""

    code = "idempotency_request_in_flight"
    title = "The first request with this key is not answered yet"
