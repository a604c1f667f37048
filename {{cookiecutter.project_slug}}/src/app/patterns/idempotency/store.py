"""The SQL of keys. Nothing here waits for another request, and nothing commits."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from .key import Key
from .models import idempotency_key

# The lock ends with the transaction, and whoever does not get it inserts nothing: without it, the insert would wait for
# the transaction of the other request. A key past its time is as good as none, also before it is deleted.
_CLAIM = text("""
    INSERT INTO idempotency_key AS known (tenant_id, key, fingerprint, resource, in_flight_until, expires_at)
    SELECT CAST(:tenant AS text), CAST(:key AS bytea), CAST(:fingerprint AS bytea), CAST(:resource AS text),
           CAST(:in_flight_until AS timestamptz), CAST(:expires_at AS timestamptz)
    WHERE pg_try_advisory_xact_lock(CAST(:lock AS bigint))
    ON CONFLICT (tenant_id, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, resource = excluded.resource, in_flight_until = excluded.in_flight_until,
        expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
    WHERE known.expires_at <= CAST(:now AS timestamptz)
    RETURNING 1
""")

# IS NOT NULL: with the lock where it is free, and without it otherwise. Who has it keeps a retry from waiting for this
# row, should the transaction hang before its end. The first answer stays.
_ANSWER = text("""
    UPDATE idempotency_key
    SET status = CAST(:status AS smallint), headers = CAST(:headers AS jsonb), body = CAST(:body AS bytea)
    WHERE tenant_id = :tenant AND key = :key AND status IS NULL
      AND pg_try_advisory_xact_lock(CAST(:lock AS bigint)) IS NOT NULL
""")

_RELEASE = text("""
    UPDATE idempotency_key SET in_flight_until = 'epoch' WHERE tenant_id = :tenant AND key = :key
""")

# The condition stands there twice: a key that was taken anew between the two looks must stay.
_DELETE_EXPIRED = text("""
    DELETE FROM idempotency_key
    WHERE (tenant_id, key) IN (
        SELECT tenant_id, key FROM idempotency_key WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
    ) AND expires_at <= :now
    RETURNING 1
""")


@dataclass(frozen=True, slots=True)
class Known:
    """A key that was used before."""

    fingerprint: bytes
    resource: str
    in_flight_until: datetime
    answer: Response | None


async def claim(
    session: AsyncSession, key: Key, *, resource: str, now: datetime, in_flight_until: datetime, expires_at: datetime
) -> bool:
    """Take `key` for a request that is about to make `resource`; return whether it was free."""
    row = {
        "tenant": key.tenant,
        "key": key.digest,
        "fingerprint": key.fingerprint,
        "resource": resource,
        "in_flight_until": in_flight_until,
        "expires_at": expires_at,
        "now": now,
        "lock": key.lock,
    }
    return (await session.execute(_CLAIM, row)).first() is not None


async def find(session: AsyncSession, key: Key, *, now: datetime) -> Known | None:
    """Return what is committed about `key`."""
    known = idempotency_key.c
    query = select(
        known.fingerprint, known.resource, known.in_flight_until, known.status, known.headers, known.body
    ).where(known.tenant_id == key.tenant, known.key == key.digest, known.expires_at > now)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    answer = None if row.status is None else Response(row.body, row.status, dict(row.headers))
    return Known(row.fingerprint, row.resource, row.in_flight_until, answer)


async def keep_answer(session: AsyncSession, key: Key, response: Response) -> None:
    """Store what `response` says, for whoever sends the request again."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    answer = {"status": response.status_code, "headers": json.dumps(headers), "body": bytes(response.body)}
    await session.execute(_ANSWER, {"tenant": key.tenant, "key": key.digest, "lock": key.lock, **answer})


async def release(session: AsyncSession, key: Key) -> None:
    """Say that nobody works on the request any more."""
    await session.execute(_RELEASE, {"tenant": key.tenant, "key": key.digest})


async def delete_expired(session: AsyncSession, *, now: datetime, limit: int) -> int:
    """Delete up to `limit` keys past their time, of any tenant, the oldest first; return how many there were."""
    deleted = await session.execute(_DELETE_EXPIRED, {"now": now, "limit": limit})
    return len(deleted.all())
