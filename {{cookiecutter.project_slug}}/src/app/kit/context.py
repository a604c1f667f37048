"""The request in hand, visible from every depth of the call stack.

One mutable object per request, message or job. Layers fill it in as they learn more (the authentication layer adds the
tenant), and outer layers, such as the log line, see what inner ones wrote.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Context:
    """Who is asking, for whom, and until when."""

    request_id: str = ""
    """Names one piece of work across processes; see `patterns/request_id.py`."""
    tenant: str = ""
    """The customer whose data this work may touch; empty when none is known."""
    actor: str = ""
    """Pseudonymous id of the caller, as in the token's `sub`."""
    deadline: float | None = None
    """Monotonic time after which nobody waits for the answer."""


_current: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context:
    """Return the context of the work in hand, or an empty one outside any work."""
    return _current.get() or Context()


@contextmanager
def bind(context: Context) -> Iterator[Context]:
    """Make `context` the current one until the block ends."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
