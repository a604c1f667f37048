"""A broker in memory that can refuse and fail on demand: for what a real one does only when it is in trouble."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from app.patterns.outbox import Acknowledged, BrokerUnavailable, Message, Outcome, Refused


class RecordingBroker:
    """Stores messages in the order of their arrival, and drops ids it has seen, as JetStream does."""

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.refusals: Counter[str] = Counter()
        """Event types, and how often the next ones of that type are refused."""
        self.never: set[str] = set()
        """Event types that are refused for good."""
        self.fail_after: int | None = None
        """Break off the next batch after storing this many of its messages."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The stored envelopes."""
        return [orjson.loads(message.body) for message in self.stored]

    @property
    def types(self) -> list[str]:
        """The stored event types."""
        return [message.type for message in self.stored]

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to give up."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Store `messages`, as the switches above say."""
        await asyncio.sleep(0)  # other relays get their turn, as they would over a socket
        if self.fail_after is not None:
            kept, self.fail_after = self.fail_after, None
            for message in messages[:kept]:
                self._store(message)
            raise BrokerUnavailable("switched off by the test")
        return [self._store(message) for message in messages]

    def _store(self, message: Message) -> Acknowledged | Refused:
        if message.type in self.never:
            return Refused("never, says the test", final=True)
        if self.refusals[message.type] > 0:
            self.refusals[message.type] -= 1
            return Refused("switched off by the test")
        duplicate = any(message.id == seen.id for seen in self.stored)
        if not duplicate:
            self.stored.append(message)
        return Acknowledged(duplicate)
