"""Idempotency keys: see `src/app/patterns/idempotency/`."""

from alembic import op

revision = "0004_idempotency"
down_revision = "0003_orders"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE idempotency_key (
            tenant_id text NOT NULL,
            key bytea NOT NULL,
            fingerprint bytea NOT NULL,
            resource text NOT NULL,
            in_flight_until timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            status smallint,
            headers jsonb,
            body bytea,
            PRIMARY KEY (tenant_id, key),
            CONSTRAINT idempotency_key_answer_check CHECK (num_nulls(status, headers, body) IN (0, 3))
        )
    """)
    op.execute("""
        COMMENT ON TABLE idempotency_key
        IS 'Requests with an idempotency key, and the answers that a retry gets again.'
    """)
    op.execute("CREATE INDEX idempotency_key_expires_at_idx ON idempotency_key (expires_at)")
    op.execute("ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency_key FORCE ROW LEVEL SECURITY")
    op.execute("""
        CREATE POLICY idempotency_key_of_the_tenant ON idempotency_key TO app_user
        USING (tenant_id = current_setting('app.tenant'))
    """)
    # The worker deletes what has expired, of all tenants, and cannot read a single answer.
    op.execute("CREATE POLICY idempotency_key_of_all ON idempotency_key TO app_jobs USING (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON idempotency_key TO app_user")
    op.execute("GRANT SELECT (tenant_id, key, expires_at), DELETE ON idempotency_key TO app_jobs")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_key")
