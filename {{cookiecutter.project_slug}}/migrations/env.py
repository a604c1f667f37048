"""Alembic's entry: the runner hands over a connection; on its own, Alembic only renders SQL."""

import structlog
from alembic import context
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import text

import app.orders.models  # domain: orders
import app.patterns.audit_log.models
import app.patterns.idempotency.models
import app.patterns.inbox.models
import app.patterns.outbox.models
import app.patterns.retention.models
from app.kit.db import Base

_log = structlog.get_logger("migrations")
_connection = context.config.attributes.get("connection")
_IS_PARTITION = text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)")


def _tell(step: MigrationInfo) -> None:
    if _connection is not None:  # otherwise nothing is applied
        _log.info("migrations.step_applied", up=step.is_upgrade, revision=step.up_revision_id)


def _is_partition(table: str | None) -> bool:
    """Partitions come and go with time; the models know only what they are partitions of."""
    return _connection is not None and bool(_connection.scalar(_IS_PARTITION, {"name": table}))


context.configure(
    connection=_connection,
    dialect_name="postgresql",
    dialect_opts={"paramstyle": "named"},  # otherwise SQL that is only rendered has each % twice
    target_metadata=Base.metadata,
    transaction_per_migration=True,  # a late failure keeps what was finished before it
    compare_server_default=True,
    include_name=lambda name, kind, _parents: kind != "table" or not _is_partition(name),
    on_version_apply=lambda step, **_: _tell(step),
)
if _connection is None:
    context.run_migrations()
else:
    with context.begin_transaction():
        context.run_migrations()
