"""The keys and their answers. Migration 0004_idempotency creates the table."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.kit.db import Base

idempotency_key = Table(
    "idempotency_key",
    Base.metadata,
    Column("tenant_id", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("resource", Text, nullable=False),
    Column("in_flight_until", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    PrimaryKeyConstraint("tenant_id", "key"),
    CheckConstraint("num_nulls(status, headers, body) IN (0, 3)", name="answer"),
    Index("idempotency_key_expires_at_idx", "expires_at"),
    comment="Requests with an idempotency key, and the answers that a retry gets again.",
)
