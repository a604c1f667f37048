"""The memory of what was handled. Migration 0002_inbox creates it."""

from sqlalchemy import Column, DateTime, PrimaryKeyConstraint, Table, Text, Uuid, text

from app.kit.db import Base

inbox = Table(
    "inbox",
    Base.metadata,
    Column("consumer", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("handled_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()"), index=True),
    PrimaryKeyConstraint("consumer", "event_id"),
    comment="Events that have taken effect, per consumer.",
)
