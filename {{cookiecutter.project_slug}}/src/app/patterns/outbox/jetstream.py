"""NATS JetStream as the broker."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, Header, StreamConfig

from .broker import Acknowledged, BrokerSettings, BrokerUnavailable, Full, Message, Outcome, Refused

_DAY_SECONDS = 86_400
_OVERHEAD_BYTES = 16  # of all headers, and a little more: `NATS/1.0` and two ends of line
_THEIR_FAULT = 5  # the first digit of what JetStream says of a full stream, disk or memory
_ACCOUNT_IS_FULL = 10002  # which begins with a 4, as if the message were wrong
_TOO_LARGE = 10054
_DENIED = re.compile(r'permissions violation for publish to "(.+)"', re.IGNORECASE)
_log = structlog.get_logger(__name__)


class _Sent(NamedTuple):
    subject: str
    answer: asyncio.Future[Outcome]


class NatsBroker:
    """JetStream over one connection, a batch pipelined.

    The client's own `publish_async` would do, but never resolves a message that JetStream refuses (nats-py 2.16).
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._inbox = ""
        self._waiting: dict[str, _Sent] = {}

    async def open(self) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                await self._connected()
        except (nats.errors.Error, OSError) as exc:
            await self.close()
            raise BrokerUnavailable(str(exc) or type(exc).__name__) from exc

    async def publish(self, messages: Sequence[Message]) -> Sequence[Outcome]:
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
            error_cb=self._on_error,
        )
        self._client = client
        await _ensure_stream(client.jetstream(), self._settings)
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_answer)
        return client

    async def _send(self, client: Client, message: Message) -> asyncio.Future[Outcome]:
        """Hand `message` to the connection and return a future of the broker's answer."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        subject = f"{self._settings.subject_prefix}.{message.type}"
        headers = {
            Header.MSG_ID.value: message.id,
            "content-type": "application/cloudevents+json; charset=utf-8",
            **message.headers,
        }
        # The client counts the body alone; a server that finds both too large closes the connection on everybody.
        if len(message.body) + _size(headers) > client.max_payload:
            answer.set_result(Refused("larger than the broker's max_payload", final=True))
            return answer
        try:
            await client.publish(subject, message.body, reply=f"{self._inbox}.{message.id}", headers=headers)
        except nats.errors.BadSubjectError:
            answer.set_result(Refused(f"{message.type!r} makes no subject", final=True))
        else:
            self._waiting[message.id] = _Sent(subject, answer)
        return answer

    async def _on_answer(self, reply: Msg) -> None:
        sent = self._waiting.pop(reply.subject.removeprefix(f"{self._inbox}."), None)
        if sent is None or sent.answer.done():
            return
        if not reply.data:  # nobody listens on the subject: the stream is gone, which a new connection repairs
            sent.answer.set_exception(nats.js.errors.NoStreamResponseError())
            return
        told = json.loads(reply.data)
        if "error" in told:
            sent.answer.set_result(_refusal(told["error"]))
        else:
            sent.answer.set_result(Acknowledged(duplicate=told.get("duplicate", False)))

    async def _on_error(self, exc: Exception) -> None:
        _log.warning("outbox.broker_error", error=type(exc).__name__)
        # Of a message that its account may not publish, this is all that is ever heard.
        if denied := _DENIED.search(str(exc)):
            for sent in self._waiting.values():
                if sent.subject.lower() == denied[1].lower() and not sent.answer.done():
                    sent.answer.set_result(Refused("the broker's permissions deny the subject"))


def _size(headers: Mapping[str, str]) -> int:
    """Return how many bytes the headers take on the wire, with `: ` and the end of line of each."""
    return _OVERHEAD_BYTES + sum(len(f"{name}{value}".encode()) + 4 for name, value in headers.items())


def _refusal(error: Mapping[str, Any]) -> Refused | Full:
    reason = str(error.get("description", "for no reason"))
    number = error.get("err_code")
    if error.get("code", 0) // 100 == _THEIR_FAULT or number == _ACCOUNT_IS_FULL:
        return Full(reason)
    return Refused(reason, final=number == _TOO_LARGE)


async def _ensure_stream(stream: JetStreamContext, settings: BrokerSettings) -> None:
    max_age_seconds = settings.max_age_days * _DAY_SECONDS
    try:
        found = (await stream.stream_info(settings.stream)).config
    except nats.js.errors.NotFoundError:
        await stream.add_stream(
            StreamConfig(
                name=settings.stream,
                subjects=[f"{settings.subject_prefix}.>"],
                duplicate_window=min(settings.duplicate_window_seconds, max_age_seconds),
                max_age=max_age_seconds,
                discard=DiscardPolicy.NEW,  # given a limit, it refuses: the other policy forgets what nobody has read
            )
        )
        _log.info("outbox.stream_created", stream=settings.stream)
    else:
        if not found.max_age or found.max_age > max_age_seconds:
            # Whoever reads it from the start meets events that the inbox may have forgotten.
            _log.warning("outbox.stream_keeps_longer", stream=settings.stream, max_age_days=settings.max_age_days)
