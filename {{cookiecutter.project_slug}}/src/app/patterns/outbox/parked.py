"""Parked events: what the broker would not take, put aside so that nobody waits for it, until a person decides.

Parked, an event has lost its place: the events of its aggregate that were behind it flow on. Replayed, it comes after
them, under its own `event_id`, by which consumers recognise what they have seen.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

REPLAY_BATCH = 1000
"""Events that one call of `replay` moves at most: a transaction that moved all would hold up its successors."""
_LONGEST_REASON = 1000

_PARK = text("""
    WITH refused AS (DELETE FROM outbox WHERE lane = :lane AND id = :id RETURNING *)
    INSERT INTO outbox_parked (id, lane, event_id, tenant_id, aggregate, type, envelope, created_at, attempts, reason)
    SELECT id, lane, event_id, tenant_id, aggregate, type, envelope, created_at, attempts + 1, :reason FROM refused
""")

_PARKED = text("""
    SELECT event_id, type, tenant_id, aggregate, attempts, reason, created_at, parked_at,
           CAST(extract(epoch FROM clock_timestamp() - created_at) AS double precision) AS age_seconds
    FROM outbox_parked ORDER BY id LIMIT :most
""")

# So many of each lane, then so many of all: the table has no other index, and may hold a million rows.
_WAITING = text("""
    SELECT o.event_id, o.type, o.tenant_id, o.aggregate, o.attempts, NULL AS reason, o.created_at, NULL AS parked_at,
           CAST(extract(epoch FROM clock_timestamp() - o.created_at) AS double precision) AS age_seconds
    FROM outbox_lane l CROSS JOIN LATERAL (SELECT * FROM outbox WHERE lane = l.lane ORDER BY id LIMIT :most) o
    ORDER BY o.id LIMIT :most
""")

_FIND = text("""
    SELECT 'parked' AS state, event_id, type, tenant_id, aggregate, attempts, reason, created_at, parked_at, envelope
    FROM outbox_parked WHERE event_id = :event_id
    UNION ALL
    SELECT 'waiting', event_id, type, tenant_id, aggregate, attempts, NULL, created_at, NULL, envelope
    FROM outbox WHERE event_id = :event_id
""")

_NEWEST = text("SELECT coalesce(max(id), 0) FROM outbox_parked")

# Sorted, so that events of one aggregate that go back together keep their order. `created_at` is new: it says since
# when the relays are behind, which is not since the event was parked. When it happened is in the envelope.
_REPLAY = text("""
    WITH chosen AS (
        DELETE FROM outbox_parked WHERE id IN (
            SELECT id FROM outbox_parked
            WHERE id <= :newest AND (CAST(:event_ids AS uuid[]) IS NULL OR event_id = ANY(CAST(:event_ids AS uuid[])))
            ORDER BY id LIMIT :most
        )
        RETURNING *
    ), back AS (
        INSERT INTO outbox (lane, event_id, tenant_id, aggregate, type, envelope)
        SELECT lane, event_id, tenant_id, aggregate, type, envelope FROM chosen ORDER BY id
    )
    SELECT event_id FROM chosen ORDER BY id
""")

_DROP = text("""
    DELETE FROM outbox_parked WHERE event_id = :event_id
    RETURNING event_id, type, tenant_id, aggregate, attempts, reason
""")


async def park(connection: AsyncConnection, row: Row[Any], reason: str) -> None:
    """Move the refused event in `row` out of the outbox, in the relay's transaction."""
    await connection.execute(_PARK, {"lane": row.lane, "id": row.id, "reason": reason[:_LONGEST_REASON]})


async def parked(session: AsyncSession, *, most: int) -> Sequence[Row[Any]]:
    """Return parked events of all tenants, in the order in which they were written."""
    return (await session.execute(_PARKED, {"most": most})).all()


async def waiting(session: AsyncSession, *, most: int) -> Sequence[Row[Any]]:
    """Return events of all tenants that are not yet published, in the order in which they were written."""
    return (await session.execute(_WAITING, {"most": most})).all()


async def find(session: AsyncSession, event_id: UUID) -> Sequence[Row[Any]]:
    """Return all that is known about a parked or waiting event; it is there twice only if it was written twice."""
    return (await session.execute(_FIND, {"event_id": event_id})).all()


async def newest(session: AsyncSession) -> int:
    """Return up to where `replay` may go, so that what is parked again meanwhile is not replayed for ever."""
    return int((await session.execute(_NEWEST)).scalar_one())


async def replay(session: AsyncSession, event_ids: Sequence[UUID] | None, *, newest: int) -> Sequence[UUID]:
    """Put parked events, or with None all of them, back into the outbox as if never tried; return which.

    No more than `REPLAY_BATCH` at once.
    """
    chosen = {"event_ids": event_ids, "newest": newest, "most": REPLAY_BATCH}
    return list((await session.execute(_REPLAY, chosen)).scalars())


async def drop(session: AsyncSession, event_id: UUID) -> Sequence[Row[Any]]:
    """Delete a parked event: it will never be published. Return what it was."""
    return (await session.execute(_DROP, {"event_id": event_id})).all()
