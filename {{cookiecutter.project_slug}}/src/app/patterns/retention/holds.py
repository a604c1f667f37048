"""Legal holds: while one is there, no row of its tenant is removed.

Only the tables' owner has a right to them. A hold is never deleted; it says when it was released.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_HELD = "tenant_id IN (SELECT tenant FROM legal_hold WHERE released_at IS NULL)"
_PLACE = text("INSERT INTO legal_hold (tenant, reason) VALUES (:tenant, :reason) RETURNING id")
_RELEASE = text("""
    UPDATE legal_hold SET released_at = clock_timestamp(), released_by = session_user
    WHERE id = :id AND released_at IS NULL
""")
_HOLDS = text("SELECT * FROM legal_hold WHERE released_at IS NULL OR :released ORDER BY id")


class NoSuchHold(Exception):
    """There is no hold of that number, or it was released before."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why rows of a tenant stay."""

    id: int
    tenant: str
    reason: str
    placed_at: datetime
    placed_by: str
    """The login that did it."""
    released_at: datetime | None
    released_by: str | None


def kept(unless: str | None, *, of_tenants: bool) -> str:
    """Return the condition in SQL, true or false, for a row that stays: it is held, or `unless` holds for it."""
    conditions = [*([_HELD] if of_tenants else []), *([unless] if unless else [])]
    return f"(({' OR '.join(f'({condition})' for condition in conditions) or 'false'}) IS TRUE)"


async def freeze(connection: AsyncConnection) -> None:
    """Let no hold be placed until the transaction ends: what it sees of them is true for as long."""
    await connection.execute(text("LOCK TABLE legal_hold IN SHARE MODE"))


async def place(connection: AsyncConnection, tenant: str, reason: str) -> int:
    """Hold all rows of a tenant, and return the hold's number. It waits for a transaction that removes rows."""
    return int(await connection.scalar(_PLACE, {"tenant": tenant, "reason": reason}) or 0)


async def release(connection: AsyncConnection, hold: int) -> None:
    """End a hold. Others of the same tenant go on.

    Raises:
        NoSuchHold: none of that number is in force.
    """
    if not (await connection.execute(_RELEASE, {"id": hold})).rowcount:
        raise NoSuchHold(f"no hold {hold} is in force")


async def holds(connection: AsyncConnection, *, released: bool = False) -> Sequence[Hold]:
    """Return the holds in force, oldest first; or also those that were released."""
    found = await connection.execute(_HOLDS, {"released": released})
    return [Hold(**row._mapping) for row in found]  # noqa: SLF001 - its public name
