"""Where keys meet HTTP: the dependency that reads one, and the answer that is kept or given again."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from starlette.responses import Response
from starlette.types import Scope

from app.kit import asgi, problems
from app.kit.clock import Clock
from app.kit.errors import AppError

from .header import HEADER, REPLAYED, parse
from .key import Key, key_of
from .once import UNKEYED, AnsweredBefore, KeyedOnce, Once
from .settings import IdempotencySettings

Result = TypeVar("Result")
_NAME = HEADER.lower().encode()


class Idempotency:
    """What all requests share; lives at `app.state.idempotency`."""

    def __init__(self, settings: IdempotencySettings, clock: Clock, *, route_of: Callable[[Scope], str]) -> None:
        self.settings = settings
        self.clock = clock
        self._route_of = route_of

    async def key_of(self, request: Request) -> Key | None:
        """Return the key of a request, or None where it has none.

        Raises:
            IdempotencyKeyInvalid: the header holds no key.
        """
        values = [value for name, value in request.scope["headers"] if name == _NAME]
        if not values:
            return None
        return key_of(
            parse(values),
            operation=f"{request.method} {self._route_of(request.scope)}",
            target=(request.scope["path"], request.scope["query_string"].decode("latin-1")),
            body=await request.body(),
        )


class Attempt:
    """One request, perhaps the second of its kind."""

    def __init__(self, idempotency: Idempotency, key: Key | None, scope: Scope) -> None:
        self._idempotency = idempotency
        self._key = key
        self._scope = scope

    async def answer(
        self, work: Callable[[Once[Result]], Awaitable[Result]], render: Callable[[Result], Response]
    ) -> Response:
        """Do `work`, which calls what it is given in its transactions, and return what `render` makes of its result.

        An error that `render` raises is an answer, too; one of `work` is none, and nothing of it is kept.
        """
        if self._key is None:
            return render(await work(UNKEYED))

        def rendered(result: Result) -> Response:
            try:
                return render(result)
            except AppError as error:
                return problems.answer(error, self._scope)

        settings, clock = self._idempotency.settings, self._idempotency.clock
        once = KeyedOnce(self._key, render=rendered, settings=settings, clock=clock)
        try:
            result = await work(once)
        except AnsweredBefore as before:
            return self._replayed(before.answer)
        return once.answer or rendered(result)

    def _replayed(self, answer: Response) -> Response:
        if answer.headers.get("content-type") == problems.MEDIA_TYPE:
            asgi.note_problem(self._scope, code=json.loads(bytes(answer.body))["code"], failure=None)
        answer.headers[REPLAYED] = "true"
        return answer


async def attempt(request: Request) -> Attempt:
    """Return the request's attempt: `Annotated[Attempt, Depends(attempt)]`.

    Raises:
        IdempotencyKeyInvalid: the header holds no key.
    """
    idempotency = request.app.state.idempotency
    assert isinstance(idempotency, Idempotency)
    return Attempt(idempotency, await idempotency.key_of(request), request.scope)
