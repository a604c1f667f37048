"""The example domain: orders and their timeline, see `src/app/orders/`."""

from alembic import op

revision = "0003_orders"
down_revision = "0002_inbox"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE orders (
            id uuid PRIMARY KEY,
            tenant_id text NOT NULL,
            state text NOT NULL CHECK (state IN ('pending', 'placed', 'refused', 'cancelled')),
            currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            total_minor bigint NOT NULL CHECK (total_minor > 0),
            items jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            settle_after timestamptz,
            -- How often this one order has changed.
            -- squawk-ignore prefer-bigint-over-int
            version integer NOT NULL
        ) PARTITION BY RANGE (id)
    """)
    op.execute("CREATE INDEX orders_tenant_id_id_idx ON orders (tenant_id, id DESC)")
    op.execute("CREATE INDEX orders_settle_after_idx ON orders (settle_after) WHERE settle_after IS NOT NULL")
    # The state machine of models.TRANSITIONS once more, for whoever comes with SQL.
    op.execute("""
        CREATE FUNCTION orders_check_step() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.state <> 'pending' THEN
                    RAISE EXCEPTION 'an order starts as pending, not as %', NEW.state USING ERRCODE = 'check_violation';
                END IF;
            ELSIF (OLD.state, NEW.state) NOT IN
                    (('pending', 'placed'), ('pending', 'refused'), ('placed', 'cancelled')) THEN
                RAISE EXCEPTION 'an order that is % cannot become %', OLD.state, NEW.state
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER orders_check_first_state BEFORE INSERT ON orders
        FOR EACH ROW EXECUTE FUNCTION orders_check_step()
    """)
    op.execute("""
        CREATE TRIGGER orders_check_step BEFORE UPDATE ON orders
        FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION orders_check_step()
    """)
    op.execute("""
        CREATE TABLE order_timeline (
            tenant_id text NOT NULL,
            order_id uuid NOT NULL,
            -- Among the events of this one order.
            -- squawk-ignore prefer-bigint-over-int
            position integer NOT NULL,
            event_id uuid NOT NULL,
            type text NOT NULL,
            occurred_at timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, order_id, position),
            UNIQUE (order_id, event_id)
        ) PARTITION BY RANGE (order_id)
    """)
    # Both by the month of the order: its id is a UUIDv7 and begins with the time. `app partitions ahead` makes months.
    for table in ("orders", "order_timeline"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        op.execute(f"ALTER TABLE {table}_default ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table}_default FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"""
            CREATE POLICY {table}_of_the_tenant ON {table} TO app_user
            USING (tenant_id = current_setting('app.tenant'))
        """)
    # The worker finds open orders of all tenants, and postpones them; what it does about one, it does as its tenant.
    op.execute("CREATE POLICY orders_of_all ON orders TO app_jobs USING (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON orders TO app_user")
    op.execute("GRANT SELECT, UPDATE (settle_after) ON orders TO app_jobs")
    op.execute("GRANT SELECT, INSERT ON order_timeline TO app_user")


def downgrade() -> None:
    op.execute("DROP TABLE order_timeline")
    op.execute("DROP TABLE orders")
    op.execute("DROP FUNCTION orders_check_step")
