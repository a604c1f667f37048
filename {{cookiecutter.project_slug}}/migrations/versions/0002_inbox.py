"""Inbox: see `src/app/patterns/inbox/`."""

from alembic import op

revision = "0002_inbox"
down_revision = "0001_outbox"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE inbox (
            consumer text NOT NULL,
            event_id uuid NOT NULL,
            handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (consumer, event_id)
        )
    """)
    op.execute("COMMENT ON TABLE inbox IS 'Events that have taken effect, per consumer.'")
    op.execute("CREATE INDEX inbox_handled_at_idx ON inbox (handled_at)")
    op.execute("GRANT SELECT, INSERT ON inbox TO app_user")
    op.execute("GRANT SELECT, DELETE ON inbox TO app_jobs")  # what is old enough is forgotten


def downgrade() -> None:
    op.execute("DROP TABLE inbox")
