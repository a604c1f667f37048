"""The business side: an event is a row in the transaction that it announces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zlib import crc32

from opentelemetry.propagate import inject
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import context
from app.kit.ids import uuid7

from .models import LANES, outbox
from .wakeup import mark_pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one aggregate, in the past tense."""

    type: str
    """What happened, such as `order.placed`; also the end of the broker's subject."""
    source: str
    """Where it happened (CloudEvents `source`), such as `/orders`."""
    aggregate_id: str
    """Which thing it happened to. Events of one aggregate are delivered in order."""
    tenant: str
    data: Mapping[str, Any]
    schema_version: int = 1
    """Of `data`: a new number where a consumer that knows the old one would go wrong."""
    id: UUID = field(default_factory=uuid7)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def aggregate(self) -> str:
        """Return the key within which order is kept."""
        return f"{self.tenant}{self.source}/{self.aggregate_id}"


async def publish(session: AsyncSession, event: Event) -> None:
    """Insert `event` into the outbox: it will be published if, and only if, the session's transaction commits."""
    # The aggregate's own row is written, and thereby locked, before the event takes its id: writers of one aggregate
    # then take ids in the order in which they commit.
    await session.flush()
    row = {
        "lane": crc32(event.aggregate.encode()) % LANES,
        "event_id": event.id,
        "tenant_id": event.tenant,
        "aggregate": event.aggregate,
        "type": event.type,
        "envelope": _envelope(event),
    }
    await session.execute(insert(outbox).inline(), row)  # without RETURNING: who may write events need not read them
    mark_pending(session)


def _envelope(event: Event) -> dict[str, Any]:
    """Return the event as CloudEvents 1.0 JSON, with the trace and the request it belongs to."""
    trace: dict[str, str] = {}
    inject(trace)  # `traceparent`: CloudEvents' distributed tracing extension
    work = context.current()
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": event.source,
        "type": event.type,
        "subject": event.aggregate_id,
        "time": event.time.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"urn:schema:{event.type}:{event.schema_version}",
        "tenant": event.tenant,
        "actor": work.actor,
        "requestid": work.request_id,
        **trace,
        "data": dict(event.data),
    }
