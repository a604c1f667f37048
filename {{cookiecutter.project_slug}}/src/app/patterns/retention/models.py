"""The two tables. Migration 0006_retention creates them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, Table, Text, text

from app.kit.db import Base

legal_hold = Table(
    "legal_hold",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("placed_by", Text, nullable=False, server_default=text("session_user")),
    Column("released_at", DateTime(timezone=True)),
    Column("released_by", Text),
    CheckConstraint("tenant <> ''", name="tenant"),
    CheckConstraint("reason <> ''", name="reason"),
    Index("legal_hold_tenant_idx", "tenant", postgresql_where=text("released_at IS NULL")),
    comment="Tenants of whom nothing is removed, and why.",
)

retention_run = Table(
    "retention_run",
    Base.metadata,
    Column("table_name", Text, primary_key=True),
    Column("completed_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    comment="When all that was due of a table was last removed.",
)
