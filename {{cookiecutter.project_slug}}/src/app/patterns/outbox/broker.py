"""The port to a broker: what the relay hands over, and what it can be told. `jetstream.py` is behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

Scheme = Literal["nats", "tls"]
"""What a broker's URL may begin with; `brokers.py` says which broker that is."""


class BrokerSettings(BaseModel):
    """Where events go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(description="nats://user:password@host:port, or tls:// for an encrypted connection.")
    stream: str = Field(
        "EVENTS", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="JetStream stream that holds the events."
    )
    subject_prefix: str = Field("events", pattern=r"^[a-z0-9-]{1,64}$", description="Subjects are PREFIX.EVENT_TYPE.")
    connect_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for a connection.")
    publish_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for acknowledgements of one batch.")
    duplicate_window_seconds: float = Field(
        120.0, gt=0, description="How long the broker remembers message ids; should exceed a relay's restart."
    )
    max_age_days: float = Field(
        6.0, gt=0, description="How long a stream that is made here keeps an event: who consumes later has missed it."
    )

    @field_validator("url")
    @classmethod
    def _has_a_known_scheme(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in get_args(Scheme):
            raise ValueError(f"a broker's URL begins with {' or '.join(f'{name}://' for name in get_args(Scheme))}")
        return url

    @property
    def scheme(self) -> Scheme:
        """Return what the URL begins with."""
        return cast("Scheme", urlsplit(self.url.get_secret_value()).scheme)


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
    final: bool = False
    """Asking again cannot help: the message itself is at fault."""


@dataclass(frozen=True, slots=True)
class Full:
    """The broker has no room, whatever the message: it says nothing about this one."""

    reason: str


Outcome = Acknowledged | Refused | Full


class BrokerUnavailable(Exception):
    """The broker did not answer: some messages of the batch may be stored, and nobody knows which."""


class BrokerFull(Exception):
    """The broker answers, and takes nothing more for now."""


class Broker(Protocol):
    """What a relay needs from a broker."""

    async def open(self) -> None:
        """Connect unless connected, and create what is missing over there.

        Raises:
            BrokerUnavailable: it cannot be reached.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Store `messages` and return one outcome each, in their order.

        Raises:
            BrokerUnavailable: nothing is known about the outcomes.
        """
        ...

    async def close(self) -> None:
        """Give up the connection."""
        ...
