"""Errors a caller can act on: six categories, each with a stable code.

    AppError
    ├── NotFound      there is no such thing, or it is not yours to see
    ├── Conflict      the thing is not in a state that allows this
    ├── Forbidden     you may not do this
    ├── Invalid       the request can never succeed as it is
    ├── RateLimited   too much, too fast; try later
    └── Unavailable   a dependency is down; try again

A category says what the caller can do, a code says what happened. Codes are part of the API: clients switch on them,
metrics are labelled with them, and they never change. HTTP status codes live in `kit/problems.py`.
"""

from typing import ClassVar


class AppError(Exception):
    """Root of the tree. `code` is stable and machine-read; `detail` is one sentence for a person, safe to show."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class NotFound(AppError):
    """There is no such thing, or it is not the caller's to see: the two must look alike."""

    code = "not_found"
    title = "Not found"


class Conflict(AppError):
    """The request is valid, but the thing's current state does not allow it."""

    code = "conflict"
    title = "Conflict with the current state"


class Forbidden(AppError):
    """The caller is not allowed to do this."""

    code = "forbidden"
    title = "Forbidden"


class Invalid(AppError):
    """The request can never succeed as it is; repeating it is pointless."""

    code = "invalid_request"
    title = "Invalid request"


class RateLimited(AppError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    code = "rate_limited"
    title = "Too many requests"


class Unavailable(AppError):
    """Something this service needs is down or too slow; the same request may succeed later."""

    code = "unavailable"
    title = "Temporarily unavailable"
