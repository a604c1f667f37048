"""How much waits, and for how long: the gauges behind the alerts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import telemetry

_MOST_COUNTED = 10_000  # index entries, read in milliseconds; how far behind the relays are, the age tells better

# From the floors on: below them PostgreSQL may still keep a million deleted rows.
_LOOK = text("""
    WITH floors AS (
        SELECT f.number - 1 AS lane, f.floor
        FROM unnest(CAST(:floors AS bigint[])) WITH ORDINALITY AS f(floor, number)
    )
    SELECT
        (SELECT CAST(extract(epoch FROM clock_timestamp() - min(first.created_at)) AS double precision)
         FROM floors f CROSS JOIN LATERAL (
             SELECT created_at FROM outbox WHERE lane = f.lane AND id > f.floor ORDER BY id LIMIT 1
         ) first) AS oldest_age_seconds,
        (SELECT count(*) FROM (
             SELECT FROM floors f CROSS JOIN LATERAL (
                 SELECT FROM outbox WHERE lane = f.lane AND id > f.floor LIMIT :most
             ) o LIMIT :most
         ) w) AS waiting,
        (SELECT count(*) FROM (SELECT FROM outbox_parked LIMIT :most) p) AS parked
""")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in the tables."""

    waiting: int
    """Events not yet published, up to 10 000."""
    oldest_age_seconds: float
    """Age of the oldest of them; 0 when there is none."""
    parked: int
    """Events that wait for a person, up to 10 000."""


async def observe(connection: AsyncConnection, floors: Sequence[int]) -> Backlog:
    """Return what waits behind `floors`, and set the gauges."""
    row = (await connection.execute(_LOOK, {"floors": floors, "most": _MOST_COUNTED})).one()
    backlog = Backlog(row.waiting, row.oldest_age_seconds or 0.0, row.parked)
    telemetry.WAITING_EVENTS.set(backlog.waiting)
    telemetry.OLDEST_AGE_SECONDS.set(backlog.oldest_age_seconds)
    telemetry.PARKED_EVENTS.set(backlog.parked)
    return backlog
