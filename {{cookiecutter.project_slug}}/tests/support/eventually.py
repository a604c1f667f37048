"""Waiting for what another process or task will do, without guessing how long it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

_T = TypeVar("_T")


@overload
async def eventually(
    check: Callable[[], Awaitable[_T | None]], *, within_seconds: float = ..., every_seconds: float = ...
) -> _T: ...
@overload
async def eventually(
    check: Callable[[], _T | None], *, within_seconds: float = ..., every_seconds: float = ...
) -> _T: ...
async def eventually(check: Callable[[], object], *, within_seconds: float = 10, every_seconds: float = 0.02) -> object:
    """Return the first truthy value of `check`, which may be a coroutine function.

    Raises:
        AssertionError: none came `within_seconds`; the message holds the last value.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        result = check()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s: {check!r} last gave {value!r}")
        await asyncio.sleep(every_seconds)
