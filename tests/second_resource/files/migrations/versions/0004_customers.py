"""Customers, see `src/app/customers/`."""

from alembic import op

revision = "0004_customers"
down_revision = "0004_idempotency"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE customers (
            tenant_id text NOT NULL,
            id uuid NOT NULL,
            name text NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE customers")
