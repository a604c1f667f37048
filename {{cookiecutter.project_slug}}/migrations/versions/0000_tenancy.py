"""Tenancy: the two roles that every table grants to, see `src/app/patterns/tenancy.py`.

Neither can log in: whoever operates the database makes logins that are members of one or both. Neither owns a table, so
row-level security holds for both. A tenant's table has a policy for each role that may see it; a role without a policy
sees nothing.
"""

from alembic import op

revision = "0000_tenancy"
down_revision = None


def upgrade() -> None:
    for role in ("app_user", "app_jobs"):
        op.execute(f"""
            DO $$
            BEGIN
                IF to_regrole('{role}') IS NULL THEN  -- or made by whoever operates the database
                    CREATE ROLE {role} NOLOGIN NOBYPASSRLS;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made by another database's migration, at this moment
            END
            $$
        """)
    op.execute("GRANT SELECT ON alembic_version TO app_user, app_jobs")


def downgrade() -> None:
    # The roles stay: they belong to the whole server, and logins are members of them.
    op.execute("REVOKE SELECT ON alembic_version FROM app_user, app_jobs")
