"""The business side: an entry is a row in the transaction that it tells of."""

from collections.abc import Mapping
from hashlib import sha256

import orjson
from opentelemetry import trace
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import context

from .models import audit_log

State = Mapping[str, object]
"""What a resource is like: texts, numbers, lists and objects of them, ids and times."""

_INSERT = insert(audit_log).inline()  # without RETURNING: who may write need not read


async def record(
    session: AsyncSession,
    *,
    tenant: str,
    action: str,
    resource_type: str,
    resource_id: str,
    before: State | None,
    after: State | None,
) -> None:
    """Write down who has just done `action`, such as `order.cancelled`: kept if the session's transaction commits.

    Who it was, and in which request and trace, comes from the work in hand. Of the states only digests are kept, and
    ids are references: an entry holds no personal data, so nothing in it ever has to be erased. The database refuses a
    `tenant` that the work in hand is not for.
    """
    row = {
        **work_in_hand(),
        "tenant_id": tenant,
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "before": digest(before),
        "after": digest(after),
    }
    await session.execute(_INSERT, row)


def work_in_hand() -> dict[str, str]:
    """Return the columns that say who acts, and in which request and trace."""
    work = context.current()
    span = trace.get_current_span().get_span_context()
    trace_id = trace.format_trace_id(span.trace_id) if span.is_valid else ""
    return {"actor": work.actor, "request_id": work.request_id, "trace_id": trace_id}


def digest(state: State | None) -> bytes | None:
    """Return the SHA-256 of a state as canonical JSON: keys in order, no spaces."""
    return None if state is None else sha256(orjson.dumps(dict(state), option=orjson.OPT_SORT_KEYS)).digest()
