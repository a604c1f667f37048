"""The port to the broker, and NATS JetStream behind it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import Header, StreamConfig
from pydantic import BaseModel, ConfigDict, Field, SecretStr

_log = structlog.get_logger(__name__)


class BrokerSettings(BaseModel):
    """Where events go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(description="nats://user:password@host:port")
    stream: str = Field(
        "EVENTS", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="JetStream stream that holds the events."
    )
    subject_prefix: str = Field("events", pattern=r"^[a-z0-9-]{1,64}$", description="Subjects are PREFIX.EVENT_TYPE.")
    connect_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for a connection.")
    publish_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for acknowledgements of one batch.")
    duplicate_window_seconds: float = Field(
        120.0, gt=0, description="How long the broker remembers message ids; should exceed a relay's restart."
    )


@dataclass(frozen=True, slots=True)
class Message:
    """One event, ready to send."""

    id: str
    """De-duplication id: the same event sent twice carries the same id."""
    type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """About this sending, not about the event: the trace context of the `send` span."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has stored the message; `duplicate` if it already had."""

    duplicate: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker answered that it will not store this one message."""

    reason: str


class BrokerUnavailable(Exception):
    """The broker did not answer: some messages of the batch may be stored, and nobody knows which."""


class Broker(Protocol):
    """What a relay needs from a broker."""

    async def open(self) -> None:
        """Connect unless connected, and create what is missing over there.

        Raises:
            BrokerUnavailable: it cannot be reached.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledged | Refused]:
        """Store `messages` and return one outcome each, in their order.

        Raises:
            BrokerUnavailable: nothing is known about the outcomes.
        """
        ...

    async def close(self) -> None:
        """Give up the connection."""
        ...


class NatsBroker:
    """JetStream over one connection, a batch pipelined.

    The client's own `publish_async` would do, but never resolves a message that JetStream refuses (nats-py 2.16).
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._inbox = ""
        self._waiting: dict[str, asyncio.Future[Acknowledged | Refused]] = {}

    async def open(self) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                await self._connected()
        except (nats.errors.Error, OSError) as exc:
            await self.close()
            raise BrokerUnavailable(str(exc) or type(exc).__name__) from exc

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledged | Refused]:
        try:
            async with asyncio.timeout(self._settings.publish_timeout_seconds):
                client = await self._connected()
                return await asyncio.gather(*[await self._send(client, message) for message in messages])
        except (nats.errors.Error, OSError) as exc:  # OSError includes the timeout
            await self.close()
            raise BrokerUnavailable(str(exc) or type(exc).__name__) from exc

    async def close(self) -> None:
        client, self._client = self._client, None
        self._waiting.clear()
        if client is not None:
            with suppress(nats.errors.Error, OSError):
                await client.close()

    async def _connected(self) -> Client:
        if self._client is not None and self._client.is_connected:
            return self._client
        await self.close()
        # No reconnect: the client would send what it had buffered on the new connection, and messages lost with the old
        # one would then come after their successors. A new client starts from the table again.
        client = await nats.connect(
            self._settings.url.get_secret_value(),
            allow_reconnect=False,
            connect_timeout=max(1, int(self._settings.connect_timeout_seconds)),
            error_cb=_log_error,
        )
        self._client = client
        await _ensure_stream(client.jetstream(), self._settings)
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_answer)
        return client

    async def _send(self, client: Client, message: Message) -> asyncio.Future[Acknowledged | Refused]:
        """Hand `message` to the connection and return a future of the broker's answer."""
        answer: asyncio.Future[Acknowledged | Refused] = asyncio.get_running_loop().create_future()
        subject = f"{self._settings.subject_prefix}.{message.type}"
        headers = {
            Header.MSG_ID.value: message.id,
            "content-type": "application/cloudevents+json; charset=utf-8",
            **message.headers,
        }
        try:
            await client.publish(subject, message.body, reply=f"{self._inbox}.{message.id}", headers=headers)
        except nats.errors.MaxPayloadError:
            answer.set_result(Refused("larger than the broker's max_payload"))
        else:
            self._waiting[message.id] = answer
        return answer

    async def _on_answer(self, reply: Msg) -> None:
        answer = self._waiting.pop(reply.subject.removeprefix(f"{self._inbox}."), None)
        if answer is None or answer.done():
            return
        if not reply.data:  # nobody listens on the subject: the stream is gone, which a new connection repairs
            answer.set_exception(nats.js.errors.NoStreamResponseError())
            return
        told = json.loads(reply.data)
        if "error" in told:
            answer.set_result(Refused(told["error"].get("description", "for no reason")))
        else:
            answer.set_result(Acknowledged(duplicate=told.get("duplicate", False)))


async def _ensure_stream(stream: JetStreamContext, settings: BrokerSettings) -> None:
    try:
        await stream.stream_info(settings.stream)
    except nats.js.errors.NotFoundError:
        await stream.add_stream(
            StreamConfig(
                name=settings.stream,
                subjects=[f"{settings.subject_prefix}.>"],
                duplicate_window=settings.duplicate_window_seconds,
            )
        )
        _log.info("outbox.stream_created", stream=settings.stream)


async def _log_error(exc: Exception) -> None:
    _log.warning("outbox.broker_error", error=type(exc).__name__)
