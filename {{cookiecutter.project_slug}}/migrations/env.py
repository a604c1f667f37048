"""Alembic's entry: the runner hands over a connection; on its own, Alembic only renders SQL."""

import structlog
from alembic import context
from alembic.runtime.migration import MigrationInfo

import app.orders.models  # domain: orders
import app.patterns.audit_log.models
import app.patterns.idempotency.models
import app.patterns.inbox.models
import app.patterns.outbox.models
from app.kit.db import Base

_log = structlog.get_logger("migrations")
_connection = context.config.attributes.get("connection")


def _tell(step: MigrationInfo) -> None:
    if _connection is not None:  # otherwise nothing is applied
        _log.info("migrations.step_applied", up=step.is_upgrade, revision=step.up_revision_id)


context.configure(
    connection=_connection,
    dialect_name="postgresql",
    dialect_opts={"paramstyle": "named"},  # otherwise SQL that is only rendered has each % twice
    target_metadata=Base.metadata,
    transaction_per_migration=True,  # a late failure keeps what was finished before it
    compare_server_default=True,
    on_version_apply=lambda step, **_: _tell(step),
)
if _connection is None:
    context.run_migrations()
else:
    with context.begin_transaction():
        context.run_migrations()
