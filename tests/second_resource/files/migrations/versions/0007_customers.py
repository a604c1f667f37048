"""Customers, see `src/app/customers/`."""

from alembic import op

revision = "0007_customers"
down_revision = "0006_retention"


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
    op.execute("ALTER TABLE customers ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE customers FORCE ROW LEVEL SECURITY")
    op.execute("""
        CREATE POLICY customers_of_the_tenant ON customers TO app_user
        USING (tenant_id = current_setting('app.tenant'))
    """)
    op.execute("GRANT SELECT, INSERT ON customers TO app_user")


def downgrade() -> None:
    op.execute("DROP TABLE customers")
