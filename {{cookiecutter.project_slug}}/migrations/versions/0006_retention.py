"""Retention: see `src/app/patterns/retention/`."""

from alembic import op

revision = "0006_retention"
down_revision = "0005_audit_log"


def upgrade() -> None:
    # No role of the service has a right to it: who is held, and why, is the operator's.
    op.execute("""
        CREATE TABLE legal_hold (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant text NOT NULL CHECK (tenant <> ''),
            reason text NOT NULL CHECK (reason <> ''),
            placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            placed_by text NOT NULL DEFAULT session_user,
            released_at timestamptz,
            released_by text
        )
    """)
    op.execute("COMMENT ON TABLE legal_hold IS 'Tenants of whom nothing is removed, and why.'")
    op.execute("CREATE INDEX legal_hold_tenant_idx ON legal_hold (tenant) WHERE released_at IS NULL")
    op.execute("""
        CREATE TABLE retention_run (
            table_name text PRIMARY KEY,
            completed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("COMMENT ON TABLE retention_run IS 'When all that was due of a table was last removed.'")
    op.execute("GRANT SELECT ON retention_run TO app_jobs")


def downgrade() -> None:
    op.execute("DROP TABLE retention_run")
    op.execute("DROP TABLE legal_hold")
