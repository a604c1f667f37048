"""Transactional outbox: see `src/app/patterns/outbox/`."""

from alembic import op

revision = "0001_outbox"
down_revision = "0000_tenancy"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE outbox (
            transaction_id bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
            lane smallint NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) NOT NULL,
            event_id uuid NOT NULL,
            tenant_id text NOT NULL,
            aggregate text NOT NULL,
            type text NOT NULL,
            envelope jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            attempts smallint NOT NULL DEFAULT 0,
            not_before timestamptz NOT NULL DEFAULT '-infinity',
            PRIMARY KEY (lane, id)
        ) WITH (
            -- Rows live for milliseconds: vacuum by number of dead rows, and without pausing.
            autovacuum_vacuum_scale_factor = 0,
            autovacuum_vacuum_threshold = 5000,
            autovacuum_vacuum_cost_delay = 0
        )
    """)
    op.execute("COMMENT ON TABLE outbox IS 'Events that are committed and not yet published.'")
    op.execute("CREATE INDEX outbox_held_idx ON outbox (lane) WHERE not_before > '-infinity'")
    op.execute("CREATE TABLE outbox_lane (lane smallint PRIMARY KEY)")
    op.execute(
        "COMMENT ON TABLE outbox_lane IS 'One row per lane, only ever locked: who holds the row publishes the lane.'"
    )
    op.execute("INSERT INTO outbox_lane SELECT generate_series(0, 63)")
    op.execute("""
        CREATE TABLE outbox_parked (
            id bigint PRIMARY KEY,
            lane smallint NOT NULL,
            event_id uuid NOT NULL,
            tenant_id text NOT NULL,
            aggregate text NOT NULL,
            type text NOT NULL,
            envelope jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            attempts smallint NOT NULL,
            reason text NOT NULL,
            parked_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute(
        "COMMENT ON TABLE outbox_parked IS "
        "'Events that the broker would not take: for a person to send again, or to drop.'"
    )
    for table in ("outbox", "outbox_parked"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_of_all ON {table} TO app_jobs USING (true)")
    # A request writes events of its tenant and reads none; the relay moves everybody's.
    op.execute("""
        CREATE POLICY outbox_of_the_tenant ON outbox FOR INSERT TO app_user
        WITH CHECK (tenant_id = current_setting('app.tenant'))
    """)
    op.execute("GRANT INSERT ON outbox TO app_user")
    # INSERT: a parked event is sent again from here.
    op.execute("GRANT SELECT, INSERT, DELETE, UPDATE (attempts, not_before) ON outbox TO app_jobs")
    op.execute("GRANT SELECT, INSERT, DELETE ON outbox_parked TO app_jobs")
    op.execute("GRANT SELECT, UPDATE ON outbox_lane TO app_jobs")  # who locks a row needs the right to change it


def downgrade() -> None:
    for table in ("outbox_parked", "outbox_lane", "outbox"):
        op.execute(f"DROP TABLE {table}")
