"""patterns/inbox: a consumer whose connection dies without a word, as when the broker's host loses its power."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import nats
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit.ids import uuid7
from app.patterns.inbox import Consumer, ConsumerSettings, ReceivedEvent
from tests.support.eventually import eventually


class Cable:
    """A TCP proxy in front of a server, whose connections can fall silent without being closed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._cut: list[bool] = []
        self.port = 0

    @asynccontextmanager
    async def plugged(self) -> AsyncIterator[None]:
        """Forward connections until the block ends."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    def cut(self) -> None:
        """Let the present connections carry nothing from now on; new ones work."""
        self._cut = [True] * len(self._cut)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self._cut)
        self._cut.append(False)
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        with suppress(ConnectionError):
            await asyncio.gather(self._carry(number, reader, far_writer), self._carry(number, far_reader, writer))

    async def _carry(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not self._cut[number]:
                    writer.write(data)
        finally:
            writer.close()


def an_event(subject: str) -> bytes:
    """Return an event as the broker holds it."""
    event = {"specversion": "1.0", "id": str(uuid7()), "source": "/orders", "type": "order.placed", "subject": subject}
    return json.dumps({**event, "time": "2026-01-01T00:00:00Z", "data": {}}).encode()


async def test_a_consumer_whose_connection_fell_silent_connects_again(engine: AsyncEngine, broker_url: str) -> None:
    """No error ever comes from a dead line: unanswered pings tell, and the consumer goes on within seconds."""
    handled: list[str] = []

    async def handle(_session: AsyncSession, event: ReceivedEvent) -> None:
        handled.append(event.subject)

    url = urlsplit(broker_url)
    cable = Cable(url.hostname or "", url.port or 0)
    direct = await nats.connect(broker_url)
    stream = direct.jetstream()
    await stream.add_stream(name="EVENTS", subjects=["events.>"])
    stop = asyncio.Event()
    async with cable.plugged():
        through_cable = f"nats://{url.username}:{url.password}@127.0.0.1:{cable.port}"
        settings = ConsumerSettings.model_validate({"url": through_cable, "ack_wait_seconds": 1})
        consumer = Consumer("silence", handle, subject="events.order.>", engine=engine, settings=settings)
        running = asyncio.create_task(consumer.run(stop))
        await stream.publish("events.order.placed", an_event("before"))
        await eventually(lambda: handled == ["before"])

        cable.cut()
        await stream.publish("events.order.placed", an_event("after"))

        await eventually(lambda: handled == ["before", "after"], within_seconds=20)
        stop.set()
        await running
    await direct.close()
