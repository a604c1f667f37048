"""Audit log: see `src/app/patterns/audit_log/`."""

from alembic import op

revision = "0005_audit_log"
down_revision = "0004_idempotency"

_TABLES = ("audit_log", "audit_seal", "audit_export", "audit_dropped")


def upgrade() -> None:
    op.execute("""
        CREATE TABLE audit_log (
            -- First on purpose, see sealer.py: the transaction has its id before the entry takes its own.
            transaction_id bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
            id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            tenant_id text NOT NULL,
            actor text NOT NULL,
            request_id text NOT NULL,
            trace_id text NOT NULL,
            action text NOT NULL,
            resource_type text NOT NULL,
            resource_id text NOT NULL,
            before bytea,
            after bytea,
            PRIMARY KEY (tenant_id, id, recorded_at)
        ) PARTITION BY RANGE (recorded_at)
    """)
    op.execute("CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT")
    op.execute("COMMENT ON TABLE audit_log IS 'Who did what to which; only ever appended to.'")
    op.execute("CREATE INDEX audit_log_id_idx ON audit_log (id)")
    op.execute("CREATE INDEX audit_log_resource_idx ON audit_log (tenant_id, resource_type, resource_id, id)")
    op.execute("""
        CREATE TABLE audit_seal (
            tenant_id text NOT NULL,
            number bigint NOT NULL,
            last_id bigint NOT NULL,
            root bytea NOT NULL,
            leaves bytea NOT NULL,
            previous bytea NOT NULL,
            hash bytea NOT NULL,
            sealed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, number)
        )
    """)
    op.execute("COMMENT ON TABLE audit_seal IS 'Segments of the audit log, chained per tenant.'")
    op.execute("CREATE INDEX audit_seal_last_id_idx ON audit_seal (last_id)")
    op.execute("""
        CREATE TABLE audit_export (
            tenant_id text NOT NULL,
            number bigint NOT NULL,
            exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (tenant_id, number)
        )
    """)
    op.execute("COMMENT ON TABLE audit_export IS 'The last segment of each object in the write-once storage.'")
    op.execute("""
        CREATE TABLE audit_dropped (
            tenant_id text NOT NULL,
            number bigint NOT NULL,
            partition text NOT NULL,
            first_id bigint NOT NULL,
            last_id bigint NOT NULL,
            entries bigint NOT NULL,
            positions int8multirange NOT NULL,
            root bytea NOT NULL,
            previous bytea NOT NULL,
            hash bytea NOT NULL,
            dropped_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, number)
        )
    """)
    op.execute("COMMENT ON TABLE audit_dropped IS 'Months of the audit log that are gone, chained per tenant.'")
    _keep_tenants_apart()
    _refuse_changes()


def _keep_tenants_apart() -> None:
    for table in (*_TABLES, "audit_log_default"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in _TABLES:
        op.execute(f"CREATE POLICY {table}_is_read ON {table} FOR SELECT TO app_jobs USING (true)")
        op.execute(f"GRANT SELECT ON {table} TO app_jobs")
    op.execute("""
        CREATE POLICY audit_log_of_the_tenant ON audit_log FOR INSERT TO app_user
        WITH CHECK (tenant_id = current_setting('app.tenant') AND action <> 'audit_log.dropped')
    """)
    # By column: who writes an entry chooses neither its place, nor its time, nor its transaction.
    op.execute("""
        GRANT INSERT (tenant_id, actor, request_id, trace_id, action, resource_type, resource_id, before, after)
        ON audit_log TO app_user
    """)
    for table in ("audit_seal", "audit_export"):
        op.execute(f"CREATE POLICY {table}_is_appended ON {table} FOR INSERT TO app_jobs WITH CHECK (true)")
        op.execute(f"GRANT INSERT ON {table} TO app_jobs")
    # Whoever owns the tables is who drops a month: see dropping.py. Its entries are not among what it may read.
    for table in ("audit_seal", "audit_export", "audit_dropped"):
        op.execute(f"CREATE POLICY {table}_for_dropping ON {table} FOR SELECT TO CURRENT_USER USING (true)")
    op.execute("CREATE POLICY audit_dropped_is_recorded ON audit_dropped FOR INSERT TO CURRENT_USER WITH CHECK (true)")
    op.execute("""
        CREATE POLICY audit_log_dropping_is_said ON audit_log FOR INSERT TO CURRENT_USER
        WITH CHECK (action = 'audit_log.dropped')
    """)


def _refuse_changes() -> None:
    """The second wall: nobody has the right to change these tables, and triggers stop whoever owns them."""
    op.execute("""
        CREATE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is only appended to', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END
        $$
    """)
    for table in (*_TABLES, "audit_log_default"):  # months that are made later take theirs from the table
        # Per statement: also where the policies leave no row to change. ALWAYS: also for a session that replays others.
        op.execute(f"""
            CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse_change()
        """)
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse_change")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION audit_log_refuse_change")
