"""The four tables. Migration 0005_audit_log creates them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

from app.kit.db import Base

audit_log = Table(
    "audit_log",
    Base.metadata,
    # First on purpose. Defaults are computed in column order, so the transaction has its id before the entry takes its
    # own; the sealer relies on it.
    Column("transaction_id", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    Column("id", BigInteger, Identity(always=True, cache=1), nullable=False),  # a larger cache would reorder ids
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("tenant_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    # The last column because the table is partitioned by it.
    PrimaryKeyConstraint("tenant_id", "id", "recorded_at"),
    Index("audit_log_id_idx", "id"),  # for the sealer, which reads all tenants' entries in one go
    Index("audit_log_resource_idx", "tenant_id", "resource_type", "resource_id", "id"),
    comment="Who did what to which; only ever appended to.",
)

audit_seal = Table(
    "audit_seal",
    Base.metadata,
    Column("tenant_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant_id", "number"),
    Index("audit_seal_last_id_idx", "last_id"),  # its greatest is where the sealer goes on
    comment="Segments of the audit log, chained per tenant.",
)

audit_export = Table(
    "audit_export",
    Base.metadata,
    Column("tenant_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("exported_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("tenant_id", "number"),
    comment="The last segment of each object in the write-once storage.",
)

audit_dropped = Table(
    "audit_dropped",
    Base.metadata,
    Column("tenant_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("partition", Text, nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("positions", INT8MULTIRANGE, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("dropped_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant_id", "number"),
    comment="Months of the audit log that are gone, chained per tenant.",
)
