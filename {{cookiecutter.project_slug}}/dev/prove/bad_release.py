"""A release with a mistake: `bad_release MISTAKE serve|worker`. Nothing in the service knows of it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from app import cli
from app.orders.service import Orders

_calls = count(1)


def main() -> None:
    """Make the mistake, then run the service as always."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mistake", choices=MISTAKES)
    parser.add_argument("command")
    arguments = parser.parse_args()
    MISTAKES[arguments.mistake]()
    sys.argv = ["app", arguments.command]
    cli.main()


def _around(name: str, before: Callable[[], Awaitable[None]]) -> None:
    """Do something before each call of a use case of orders."""
    original: Any = getattr(Orders, name)

    async def changed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        await before()
        return await original(*arguments, **named)

    setattr(Orders, name, changed)


async def _fail_every_second_time() -> None:
    if next(_calls) % 2 == 0:
        raise RuntimeError("A mistake of this release.")


async def _take_long() -> None:
    await asyncio.sleep(0.7)


async def _block() -> None:
    time.sleep(0.6)  # noqa: ASYNC251 - the mistake


MISTAKES: dict[str, Callable[[], None]] = {
    "fails-to-buy": lambda: _around("place", _fail_every_second_time),
    "slow-to-buy": lambda: _around("place", _take_long),
    "fails-to-read": lambda: _around("get", _fail_every_second_time),
    "slow-to-read": lambda: _around("get", _take_long),
    "blocks": lambda: _around("get", _block),
}

if __name__ == "__main__":
    main()
