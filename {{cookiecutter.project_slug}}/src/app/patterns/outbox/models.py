"""The three tables. Migration 0001_outbox creates them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.kit.db import Base

LANES = 64
"""Lanes are the unit of parallelism and of order: an aggregate always falls into the same one."""


outbox = Table(
    "outbox",
    Base.metadata,
    # First on purpose. Defaults are computed in column order, so the transaction has its id before the row takes its
    # `id`; without that, a relay could believe that all older transactions have ended (see positions.py).
    Column("transaction_id", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    Column("lane", SmallInteger, nullable=False),
    Column("id", BigInteger, Identity(always=True, cache=1), nullable=False),  # a larger cache would reorder ids
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("envelope", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("not_before", DateTime(timezone=True), nullable=False, server_default=text("'-infinity'")),
    PrimaryKeyConstraint("lane", "id"),
    Index("outbox_held_idx", "lane", postgresql_where=text("not_before > '-infinity'")),
    comment="Events that are committed and not yet published.",
)

outbox_lane = Table(
    "outbox_lane",
    Base.metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    comment="One row per lane, only ever locked: who holds the row publishes the lane.",
)

outbox_parked = Table(
    "outbox_parked",
    Base.metadata,
    # Its id in the outbox, not the event's own: parking must not fail over an event that was written twice.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", SmallInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("envelope", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    comment="Events that the broker would not take: for a person to send again, or to drop.",
)
