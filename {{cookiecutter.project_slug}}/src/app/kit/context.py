"""The request in hand, visible from every depth of the call stack.

One mutable object per request, message or job. Layers fill it in as they learn more (the authentication layer adds the
tenant), and outer layers, such as the log line, see what inner ones wrote.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field


class Tally:
    """What the work has used and met so far. Whoever does something adds to it; the canonical log line tells it.

    No dataclass: most of it stays as it is, and a default that is looked up costs nothing at the beginning.
    """

    db_queries: int = 0
    db_seconds: float = 0.0
    http_calls: int = 0
    """Outbound calls."""
    http_seconds: float = 0.0
    retries: int = 0
    refused_by: str = ""
    """Which guard turned the work away, such as `load_shedding` or `rate_limiting`."""
    idempotency: str = ""
    """What was known about the request's idempotency key, such as `new` or `replayed`."""
    flags: dict[str, str] | None = None
    """Feature flags that were asked for, and the variant that each answered with."""


@dataclass(slots=True)
class Context:
    """Who is asking, for whom, and until when."""

    request_id: str = ""
    """Names one piece of work across processes; see `patterns/request_id.py`."""
    tenant: str = ""
    """The customer whose data this work may touch; empty when none is known."""
    actor: str = ""
    """Pseudonymous id of the caller: the token's `sub`, unless that tells who the person is."""
    deadline: float | None = None
    """Monotonic time after which nobody waits for the answer."""
    used: Tally | None = field(default=None, init=False, compare=False, repr=False)
    """None as long as nothing was used or met."""

    @property
    def tally(self) -> Tally:
        """What to add to."""
        if self.used is None:
            self.used = Tally()
        return self.used


current_context: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context:
    """Return the context of the work in hand, or an empty one outside any work."""
    return current_context.get() or Context()


class bind:  # noqa: N801 - reads as a verb where it is used; a generator would cost three times as much per request
    """Make `context` the current one until the block ends."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> Context:
        self._token = current_context.set(self._context)
        return self._context

    def __exit__(self, *_: object) -> None:
        current_context.reset(self._token)
