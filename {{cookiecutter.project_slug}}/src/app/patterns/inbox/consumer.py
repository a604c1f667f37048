"""The consumer: fetch one message, let it take effect in a transaction, acknowledge."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from opentelemetry import trace
from opentelemetry.propagate import extract
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit.clock import wait_or_stop
from app.kit.context import Context, bind
from app.kit.db import transaction
from app.kit.redaction import attributes_of, message_of

from . import telemetry
from .events import MalformedEvent, ReceivedEvent, parse
from .models import inbox

Handler = Callable[[AsyncSession, ReceivedEvent], Awaitable[None]]
"""Called inside the transaction that also remembers the event; it does not commit and calls no network."""

_FETCH_SECONDS = 1.0  # how late a stop is noticed by an idle consumer
_CONNECT_SECONDS = 2
_RECONNECT_SECONDS = 1.0
_PING_SECONDS = 2  # three times this long until a dead line is noticed
_log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)


class ConsumerSettings(BaseModel):
    """What to consume, and how patiently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(description="nats://user:password@host:port")
    stream: str = Field("EVENTS", description="JetStream stream to read.")
    ack_wait_seconds: float = Field(
        10.0, gt=0, description="After this long without an acknowledgement the broker gives up on a consumer."
    )
    retry_seconds: float = Field(
        0.5, gt=0, description="Pause after the first failure of a message; doubles each time."
    )
    retry_max_seconds: float = Field(60.0, gt=0, description="Longest such pause.")


class Consumer:
    """A durable consumer that keeps the stream's order.

    One message is in flight at a time, over all processes that run the same consumer: with more, a crash would let
    later messages overtake the one that must be delivered again. To go faster, run several consumers on disjoint
    subjects.
    """

    def __init__(
        self, name: str, handler: Handler, *, subject: str, engine: AsyncEngine, settings: ConsumerSettings
    ) -> None:
        self._name = name
        self._handler = handler
        self._subject = subject
        self._engine = engine
        self._settings = settings
        telemetry.initialise(name)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; a broken broker is waited for."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except nats.js.errors.NotFoundError:  # a new system: the relay makes the stream
                _log.info("inbox.stream_awaited", consumer=self._name, stream=self._settings.stream)
                await wait_or_stop(stop, _RECONNECT_SECONDS)
            except (nats.errors.Error, OSError) as exc:
                reason = message_of(exc) or type(exc).__name__
                _log.warning("inbox.broker_unavailable", consumer=self._name, error=reason)
                await wait_or_stop(stop, _RECONNECT_SECONDS)

    async def _consume(self, stop: asyncio.Event) -> None:
        async with asyncio.timeout(_CONNECT_SECONDS):  # the client itself would try for two minutes, deaf to a stop
            client = await nats.connect(
                self._settings.url.get_secret_value(),
                allow_reconnect=False,
                connect_timeout=_CONNECT_SECONDS,
                error_cb=_log_error,
                # A consumer only waits, so a line that dies without a word would look like an empty stream for minutes.
                ping_interval=_PING_SECONDS,
                max_outstanding_pings=2,
            )
        try:
            messages = await self._subscribe(client.jetstream())
            while not stop.is_set():
                try:
                    (message,) = await messages.fetch(1, timeout=_FETCH_SECONDS)
                except nats.errors.TimeoutError:
                    if client.is_closed:
                        raise nats.errors.ConnectionClosedError from None
                    continue
                await self._take(message)
        finally:
            await client.close()

    async def _subscribe(self, stream: JetStreamContext) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=self._name,
            filter_subject=self._subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._settings.ack_wait_seconds,
            max_ack_pending=1,
            max_deliver=-1,
        )
        return await stream.pull_subscribe(
            self._subject, durable=self._name, stream=self._settings.stream, config=config
        )

    async def _take(self, message: Msg) -> None:
        try:
            event = parse(message.data)
        except MalformedEvent as exc:
            telemetry.MESSAGES_HANDLED.labels(self._name, "malformed").inc()
            _log.error("inbox.message_malformed", consumer=self._name, sequence=_sequence(message), reason=str(exc))
            await message.term()
            return
        work = Context(request_id=event.requestid, tenant=event.tenant, actor=event.actor)
        span = _tracer.start_as_current_span(
            f"process {event.type}",
            context=extract(event.trace_headers()),
            kind=trace.SpanKind.CONSUMER,
            links=_sending(message),
            record_exception=False,  # it would quote values; `_handle` notes what may be told
            set_status_on_exception=False,
            attributes={
                "messaging.system": "nats",
                "messaging.operation.type": "process",
                "messaging.destination.name": self._subject,
                "messaging.consumer.group.name": self._name,
                "messaging.message.id": str(event.id),
            },
        )
        with bind(work), span, telemetry.HANDLE_SECONDS.labels(self._name).time():
            await self._handle(message, event)

    async def _handle(self, message: Msg, event: ReceivedEvent) -> None:
        try:
            async with asyncio.timeout(self._settings.ack_wait_seconds):  # later the broker delivers it again
                fresh = await self._apply(event)
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises, the message must come again
            telemetry.MESSAGES_HANDLED.labels(self._name, "failed").inc()
            trace.get_current_span().add_event("exception", attributes_of(exc))
            deliveries = message.metadata.num_delivered or 1
            delay = min(self._settings.retry_seconds * 2.0 ** min(deliveries - 1, 32), self._settings.retry_max_seconds)
            _log.exception("inbox.message_failed", consumer=self._name, event_type=event.type, retry_seconds=delay)
            await message.nak(delay=delay)
            return
        await message.ack()
        outcome = "handled" if fresh else "duplicate"
        telemetry.MESSAGES_HANDLED.labels(self._name, outcome).inc()
        delay = max(0.0, (datetime.now(UTC) - event.time).total_seconds())
        telemetry.DELIVERY_SECONDS.labels(self._name).observe(delay)
        about = {"consumer": self._name, "event_type": event.type, "event_id": str(event.id)}
        if fresh:
            _log.info("inbox.message_handled", **about)
        else:
            _log.info("inbox.message_duplicate", **about)

    async def _apply(self, event: ReceivedEvent) -> bool:
        """Handle `event` unless it has been: return whether it was new."""
        remember = insert(inbox).values(consumer=self._name, event_id=event.id).on_conflict_do_nothing()
        async with transaction(self._engine) as session:
            # A concurrent delivery of the same event waits here for the first one to commit or roll back.
            inserted = await session.execute(remember.returning(inbox.c.event_id))
            if inserted.first() is None:
                return False
            await self._handler(session, event)
        return True


def _sending(message: Msg) -> list[trace.Link]:
    """Return a link to the span that sent the message; the request that caused it is the parent."""
    carrier = {"traceparent": (message.headers or {}).get("traceparent", "")}
    sent = trace.get_current_span(extract(carrier)).get_span_context()
    return [trace.Link(sent)] if sent.is_valid else []


def _sequence(message: Msg) -> int:
    return int(message.metadata.sequence.stream)


async def _log_error(exc: Exception) -> None:
    _log.warning("inbox.broker_error", error=type(exc).__name__)
