"""Alembic's entry: the runner hands over a connection; on its own, Alembic only renders SQL."""

import structlog
from alembic import context

from app.kit.db import Base
from app.orders import models as _orders
from app.patterns.inbox import models as _inbox
from app.patterns.outbox import models as _outbox

assert all((_orders, _inbox, _outbox)), "imported for the tables they add to the metadata"

_log = structlog.get_logger("migrations")
_connection = context.config.attributes.get("connection")
context.configure(
    connection=_connection,
    dialect_name="postgresql",
    target_metadata=Base.metadata,
    transaction_per_migration=True,  # a late failure keeps what was finished before it
    compare_server_default=True,
    on_version_apply=lambda step, **_: _log.info(
        "migrations.step_applied", up=step.is_upgrade, revision=step.up_revision_id
    ),
)
if _connection is None:
    context.run_migrations()
else:
    with context.begin_transaction():
        context.run_migrations()
