"""The writing side of the outbox's bench: who writes events, and who tells the relays."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4
from zlib import crc32

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from app.kit.context import Context, bind
from app.kit.db import DatabaseSettings, create_engine, transaction
from app.patterns.outbox import Event, Notifier, publish
from app.patterns.outbox.models import LANES
from app.patterns.outbox.wakeup import mark_pending

_WRITERS = 16
_AGGREGATES = 5000
_INSERT = """
    INSERT INTO outbox (lane, event_id, tenant_id, aggregate, type, envelope) VALUES ($1, $2, 'bench', $3, $4, $5)
"""
Options = dict[str, Any]
Signal = Callable[[], Awaitable[None]]


async def produce(options: Options, begin: Signal, _stop: Signal) -> Options:
    """Commit one event per transaction at a steady rate, and report when each was committed.

    Past SQLAlchemy, so that the writer leaves the machine to the relay; the notifier is the real one.
    """
    rate, seconds = options["rate"], options["seconds"]
    committed: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        engine = _engine(options, stack)
        await stack.enter_async_context(Notifier(engine))
        login = make_url(options["database_url"])
        acting = {"role": "app_user", "app.tenant": "bench"}
        connections = [
            await asyncpg.connect(
                user=login.username, host=login.query["host"], database=login.database, server_settings=acting
            )
            for _ in range(_WRITERS)
        ]
        for connection in connections:
            stack.push_async_callback(connection.close)
        await begin()
        began = time.monotonic()
        numbers = itertools.count()

        async def writer(connection: asyncpg.Connection) -> None:
            while (number := next(numbers)) < rate * seconds:
                await asyncio.sleep(began + number / rate - time.monotonic())
                event_id, aggregate = uuid4(), f"bench/orders/{number % _AGGREGATES}"
                lane = crc32(aggregate.encode()) % LANES
                envelope = json.dumps(_envelope(str(event_id), number))
                await connection.execute(_INSERT, lane, event_id, aggregate, "order.placed", envelope)
                committed[str(event_id)] = time.monotonic()
                _signal()

        await asyncio.gather(*map(writer, connections))
    return {"committed": committed}


async def notify(options: Options, begin: Signal, stopped: Signal) -> Options:
    """Let the notifier send as much as it ever does: something is always pending."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Notifier(_engine(options, stack)))
        await begin()
        ended = asyncio.ensure_future(stopped())
        while not ended.done():
            _signal()
            await asyncio.sleep(0.001)
    return {}


async def write(options: Options, begin: Signal, _stop: Signal) -> Options:
    """Run the service's own write path, with and without the notifier in turn; return transactions/s of each."""
    rates: dict[str, list[float]] = {"without": [], "debounced": []}
    async with AsyncExitStack() as stack:
        engine = _engine(options, stack, pool_size=options["sessions"])
        await begin()
        for turn in range(options["turns"] * 2):
            name = "debounced" if turn % 2 else "without"
            async with AsyncExitStack() as notifying:
                if name == "debounced":
                    await notifying.enter_async_context(Notifier(engine))
                rates[name].append(await _transactions_per_second(engine, options))
    return {"rates": rates}


async def _transactions_per_second(engine: AsyncEngine, options: Options) -> float:
    began = time.monotonic()
    done = 0

    async def session(number: int) -> None:
        nonlocal done
        with bind(Context(request_id="bench", tenant="bench", actor="bench")):
            while time.monotonic() - began < options["seconds"]:
                async with transaction(engine) as session:
                    account = {"id": (done * 48 + number) % 10_000 + 1}
                    await session.execute(text("UPDATE account SET balance = balance - 1 WHERE id = :id"), account)
                    await session.execute(text("INSERT INTO sale (account) VALUES (:id)"), account)
                    event = Event(
                        type="sale.made", source="/sales", aggregate_id=str(account["id"]), tenant="bench", data={}
                    )
                    await publish(session, event)
                done += 1

    await asyncio.gather(*map(session, range(options["sessions"] - 1)))  # one connection is the notifier's
    return done / (time.monotonic() - began)


def _engine(options: Options, stack: AsyncExitStack, *, pool_size: int = 2) -> AsyncEngine:
    settings = DatabaseSettings(url=options["database_url"], pool_size=pool_size)
    engine = create_engine(settings, application_name="bench", role="app_user")
    stack.push_async_callback(engine.dispose)
    return engine


def _signal() -> None:
    """Tell the notifier of a commit that it did not see: an empty session's."""
    with Session() as session, session.begin():
        mark_pending(session)


def _envelope(event_id: str, number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/orders",
        "type": "order.placed",
        "subject": str(number % _AGGREGATES),
        "datacontenttype": "application/json",
        "tenant": "bench",
        "actor": "bench",
        "requestid": event_id,
        "traceparent": f"00-{number:032x}-{number:016x}-00",
        "data": {"n": number // _AGGREGATES, "note": "x" * 120},
    }
