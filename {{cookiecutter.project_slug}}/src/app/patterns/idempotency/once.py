"""What the work calls inside its transactions, so that it is done once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.kit.clock import Clock

from . import store
from .errors import IdempotencyKeyReused, RequestInFlight
from .key import Key
from .settings import IdempotencySettings
from .telemetry import note

Result = TypeVar("Result")
_RETRY_AFTER_SECONDS = 1


class AnsweredBefore(Exception):
    """The request was answered already; ends the work, and never leaves `Attempt.answer`."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Once(Generic[Result]):
    """The three calls of a use case. In work without a key, as here, they do nothing."""

    async def begin(self, session: AsyncSession, resource: str) -> str | None:
        """Note, before anything else in the first transaction, that this work is about to make `resource`.

        Return None to go on. Otherwise an earlier request made the resource that is returned, and has no answer: the
        work is to look at that and to make nothing.

        Raises:
            RequestInFlight: the first request with this key is being worked on.
            IdempotencyKeyReused: the key belongs to another request.
            AnsweredBefore: nothing is left to do.
        """

    async def finish(self, session: AsyncSession, result: Result) -> None:
        """Keep the answer to `result`, in the transaction that settles it."""

    async def release(self, session: AsyncSession) -> None:
        """Say, where the work ends without a result, that retries need not wait: what was made goes on without it."""


UNKEYED: Once[Any] = Once()


class KeyedOnce(Once[Result]):
    """The same for a request with a key."""

    def __init__(
        self, key: Key, *, render: Callable[[Result], Response], settings: IdempotencySettings, clock: Clock
    ) -> None:
        self._key = key
        self._render = render
        self._settings = settings
        self._clock = clock
        self.answer: Response | None = None
        """What `finish` has kept."""

    async def begin(self, session: AsyncSession, resource: str) -> str | None:
        now = self._clock.now()
        free = await store.claim(
            session,
            self._key,
            resource=resource,
            now=now,
            in_flight_until=now + timedelta(seconds=self._settings.in_flight_seconds),
            expires_at=now + timedelta(hours=self._settings.keep_hours),
        )
        if free:
            note("new")
            return None
        known = await store.find(session, self._key, now=now)
        if known is not None and known.fingerprint != self._key.fingerprint:
            note("mismatch")
            raise IdempotencyKeyReused("The idempotency key belongs to a request with another content.")
        if known is not None and known.answer is not None:
            note("replayed")
            raise AnsweredBefore(known.answer)
        # Nothing is committed while the first transaction runs; after that, time tells whether somebody works on it.
        if known is None or known.in_flight_until > now:
            note("in_flight")
            raise RequestInFlight("Come back in a moment.", retry_after_seconds=_RETRY_AFTER_SECONDS)
        note("resumed")
        return known.resource

    async def finish(self, session: AsyncSession, result: Result) -> None:
        self.answer = self._render(result)
        await store.keep_answer(session, self._key, self.answer)

    async def release(self, session: AsyncSession) -> None:
        await store.release(session, self._key)
