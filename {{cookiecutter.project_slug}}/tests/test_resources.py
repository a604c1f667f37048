"""resources.py: what both processes open."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.context import Context, bind
from app.patterns.outbox import listen
from app.resources import open_resources
from app.settings import load
from dev.environment import Addresses, variables
from tests.support.outbox import an_event, given_events


async def test_whoever_commits_an_event_wakes_the_relays(
    engine: AsyncEngine, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the HTTP process and the worker write events, so both send the signal after the commit."""
    for name, value in variables(addresses, env="test").items():
        monkeypatch.setenv(name, value)
    woken = asyncio.Queue[None]()

    async with (
        listen(engine, lambda: woken.put_nowait(None)),
        open_resources(load(), TracerProvider(), role="test") as resources,
        asyncio.timeout(10),
    ):
        await woken.get()  # once when it begins to listen
        with bind(Context(tenant="acme")):
            await given_events(resources.engine, an_event())
        await woken.get()
