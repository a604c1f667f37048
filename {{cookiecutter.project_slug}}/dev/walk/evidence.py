"""Where the walk looks for its proofs. Nothing here knows the service from inside."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

import httpx
import nats
import nats.js.errors
from nats.aio.client import Client

from dev.otlp_receiver import OtlpReceiver, ReceivedSpan
from dev.stack import Stack
from dev.walk.recorder import Recorder

_PATIENCE_SECONDS = 15.0
_LOOK_SECONDS = 0.02
_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
_T = TypeVar("_T")


class NotShown(Exception):
    """A step does not show what it claims; the message is one line that says what is missing."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a child, as it was written, and its fields."""

    text: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event, as the broker has it."""

    subject: str
    sequence: int
    body: Mapping[str, Any]


class Evidence:
    """The system from outside. Use with `async with`."""

    def __init__(self, stack: Stack, recorder: Recorder, collector: OtlpReceiver) -> None:
        self._stack = stack
        self._recorder = recorder
        self._collector = collector
        self._broker = Client()
        headers = {"Authorization": f"Bearer {stack.token()}"}
        self.api = httpx.AsyncClient(base_url=stack.url("http"), headers=headers, timeout=10)
        self.provider = httpx.AsyncClient(base_url=stack.url("payments"), timeout=10)

    async def __aenter__(self) -> Self:
        self._broker = await nats.connect(self._stack.broker_url)
        for name in ("http", "worker"):
            await self._until(f"200 from /readyz of {name}", partial(_ready, self._stack.url(name)))
        await self._until("consumer in the broker", self._consumers)
        (await self.api.get("/v1/orders")).raise_for_status()  # the first request also fetches the issuer's keys
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._broker.close()
        await self.provider.aclose()
        await self.api.aclose()

    async def log_line(self, process: str, event: str, **fields: str) -> LogLine:
        """Return the one line of `event` that `process` wrote with these fields."""

        async def look() -> LogLine | None:
            found = [
                line
                for line in map(_parsed, list(self._recorder.lines[process]))
                if line is not None and {"event": event, **fields}.items() <= line.fields.items()
            ]
            if len(found) > 1:
                raise NotShown(f"{len(found)} lines {event} with {fields}, and not one")
            return found[0] if found else None

        return await self._until(f"line {event} of {process} with {fields}", look)

    async def trace(self, trace_id: str, *kinds: str) -> list[ReceivedSpan]:
        """Return the spans of a trace once it has exactly `kinds`, and however many statements to the database."""

        async def look() -> list[ReceivedSpan] | None:
            spans = self._collector.of_trace(trace_id)
            found = Counter(span.kind for span in spans if "db.system.name" not in span.attributes)
            return spans if found == Counter(kinds) else None

        return await self._until(f"trace {trace_id} with the spans {', '.join(kinds)}", look)

    async def sample(self, process: str, *words: str) -> str:
        """Return the one line of /metrics that holds all `words`."""

        async def look() -> str | None:
            async with httpx.AsyncClient() as client:
                exposed = (await client.get(f"{self._stack.url(process)}/metrics", headers=_OPENMETRICS)).text
            found = [line for line in exposed.splitlines() if all(word in line for word in words)]
            return found[0] if len(found) == 1 else None

        return await self._until(f"one sample of {process} with {' and '.join(words)}", look)

    async def event(self, kind: str, order_id: str) -> StoredEvent:
        """Return the newest event of a type from the broker, once it is about this order."""
        subject = f"events.{kind}"

        async def look() -> StoredEvent | None:
            try:
                message = await self._broker.jetstream().get_last_msg("EVENTS", subject)
            except nats.js.errors.NotFoundError:
                return None
            body = json.loads(message.data or b"{}")
            return StoredEvent(subject, message.seq or 0, body) if body["subject"] == order_id else None

        return await self._until(f"event {subject} about order {order_id} in the broker", look)

    async def history(self, order_id: str, *kinds: str) -> dict[str, Any]:
        """Return an order once its history tells of exactly these events."""

        async def look() -> dict[str, Any] | None:
            order: dict[str, Any] = (await self.api.get(f"/v1/orders/{order_id}")).raise_for_status().json()
            return order if [entry["type"] for entry in order["history"]] == list(kinds) else None

        return await self._until(f"history {', '.join(kinds)} of order {order_id}", look)

    async def payment(self, order_id: str, **fields: object) -> dict[str, Any]:
        """Return what the payment provider holds about an order, once it says `fields`."""

        async def look() -> dict[str, Any] | None:
            decisions: list[dict[str, Any]] = (await self.provider.get("/authorisations")).json()
            found = [one for one in decisions if {"key": order_id, **fields}.items() <= one.items()]
            return found[0] if found else None

        return await self._until(f"payment of order {order_id} with {fields}", look)

    async def _consumers(self) -> int:
        try:
            return len(await self._broker.jetstream().consumers_info("EVENTS"))
        except nats.js.errors.NotFoundError:
            return 0

    async def _until(self, what: str, look: Callable[[], Awaitable[_T | None]]) -> _T:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    found = await look()
                    if found:
                        return found
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise NotShown(f"no {what} within {_PATIENCE_SECONDS:.0f} s") from None


async def _ready(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/readyz")).is_success


def _parsed(text: str) -> LogLine | None:
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return LogLine(text, fields) if isinstance(fields, dict) else None
