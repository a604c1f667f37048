"""The processes of the outbox's bench: each plays one role and says what it has measured.

It says that it is ready, works once it is told to, and ends with a report; a role without an end of its own is told.
"""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection

import nats
import structlog
import uvloop
from nats.js.api import Header
from outbox_variants import BROKERS, RELAYS, Watched
from outbox_writers import Options, Signal, notify, produce, write
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import DatabaseSettings, create_engine
from app.patterns.outbox import BrokerSettings, BrokerUnavailable, NatsBroker, RelaySettings

_IDLE_SECONDS = 0.005  # other relays hold the lanes that are left


async def relay(options: Options, begin: Signal, _stop: Signal) -> Options:
    """Empty the table, or give up when nothing has moved for a while."""
    async with AsyncExitStack() as stack:
        engine, broker = await _connected(options, stack)
        relay = RELAYS[options["variant"]](engine, broker, _settings(options))
        claims: list[float] = []
        _time_selects(engine, claims)
        await begin()
        began = ended = time.monotonic()
        while time.monotonic() - ended < options.get("patience_seconds", 10):
            try:
                published = await relay.relay_once()
            except BrokerUnavailable:  # a batch that came too late is sent again
                continue
            if published:
                ended = time.monotonic()
            elif await _is_empty(engine):
                break
            else:
                await asyncio.sleep(_IDLE_SECONDS)
        return {"began": began, "ended": ended, "claims": claims if options.get("claims") else []}


async def serve(options: Options, begin: Signal, stopped: Signal) -> Options:
    """Relay as the worker does, woken by NOTIFY, and report when each event was acknowledged."""
    async with AsyncExitStack() as stack:
        engine, broker = await _connected(options, stack)
        relay = RELAYS[options["variant"]](engine, broker, _settings(options))
        stop = asyncio.Event()
        await begin()
        running = asyncio.create_task(relay.run(stop))
        await stopped()
        stop.set()
        await running
        return {"acknowledged": broker.acknowledged}


async def broker_only(options: Options, begin: Signal, _stop: Signal) -> Options:
    """Publish what is in the table by the client's own `publish_async`, in batches: as fast as it gets."""
    async with AsyncExitStack() as stack:
        engine, _broker = await _connected(options, stack)  # the stream exists now
        async with engine.connect() as connection:
            read = text("SELECT event_id::text, type, envelope::text FROM outbox ORDER BY id")
            events = [(row[0], row[1], row[2].encode()) for row in await connection.execute(read)]
        client = await nats.connect(options["broker_url"])
        stack.push_async_callback(client.close)
        jetstream = client.jetstream()
        size = options["lanes_per_pass"] * options["events_per_lane"]
        content = {"content-type": "application/cloudevents+json; charset=utf-8"}
        await begin()
        began = time.monotonic()
        for first in range(0, len(events), size):
            sent = [
                await jetstream.publish_async(
                    f"{options['subject_prefix']}.{type_}", body, headers={Header.MSG_ID.value: id_, **content}
                )
                for id_, type_, body in events[first : first + size]
            ]
            await asyncio.gather(*sent)
        return {"began": began, "ended": time.monotonic()}


def _settings(options: Options) -> RelaySettings:
    given = {name: options[name] for name in RelaySettings.model_fields if name in options}
    return RelaySettings(**given)


async def _connected(options: Options, stack: AsyncExitStack) -> tuple[AsyncEngine, Watched]:
    engine = create_engine(DatabaseSettings(url=options["database_url"]), application_name="bench", role="app_jobs")
    stack.push_async_callback(engine.dispose)
    settings = {name: options[name] for name in ("stream", "subject_prefix")}
    # fsync for each message, or a busy machine: slow is a figure here, and no failure.
    patient = {"publish_timeout_seconds": 30.0}
    broker = NatsBroker(BrokerSettings(url=options["broker_url"], **settings, **patient))
    watched = BROKERS[options.get("broker", "watched")](broker)
    await watched.open()
    stack.push_async_callback(watched.close)
    return engine, watched


def _time_selects(engine: AsyncEngine, seconds: list[float]) -> None:
    """Note, per transaction that found something, how long its SELECTs took: the claim."""
    began, spent = 0.0, 0.0

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def before(*_: object) -> None:
        nonlocal began
        began = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal spent
        if statement.lstrip().startswith("DELETE"):
            seconds.append(spent)
            spent = 0.0
        else:
            spent += time.perf_counter() - began


async def _is_empty(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return not await connection.scalar(text("SELECT EXISTS (SELECT FROM outbox)"))


ROLES = {"relay": relay, "serve": serve, "broker": broker_only, "produce": produce, "notify": notify, "write": write}


def run(role: str, options: Options, pipe: Connection) -> None:
    """Play `role`, and tell what there is to tell through `pipe`."""
    # A refused event is no news where a broker refuses on purpose.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def told() -> None:
        await asyncio.to_thread(pipe.recv)

    async def begin() -> None:
        pipe.send("ready")
        await told()

    pipe.send(uvloop.run(ROLES[role](options, begin, told)))
