"""Does the database answer, are there connections, is a replica late, and is there room for the months ahead?"""

from dev.ops.dashboards.model import OWN, Dashboard, Line, Panel, Query, Row, increase, quantile, rate
from dev.ops.dashboards.sources import Sources

_STATEMENTS = "db_client_operation_duration_seconds"
_NO_REPLICA = "there is no replica"


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="database",
        title="Database",
        about="Connections, statements, replicas, partitions and what is removed, as the service sees them.",
        rows=(
            Row("Connections", _connections(sources)),
            Row("Statements", _statements()),
            Row("Replicas", _replicas(sources)),
            Row("Partitions and retention", _tables(sources)),
        ),
    )


def _connections(sources: Sources) -> tuple[Panel, ...]:
    used = f'sum by (job, instance, pool) (db_client_connections{{{OWN}, state="used"}})'
    most = f"sum by (job, instance, pool) (db_client_connection_max{{{OWN}}})"
    return (
        Panel(
            title="It answers, and has the schema",
            answers="Does the database answer, and does it have the migrations that this code was written for?",
            queries=(
                Query(
                    expr=f'max by (job, check) (health_check_success{{{OWN}, check=~"database|schema"}})',
                    legend="{{job}}: {{check}}",
                ),
            ),
            kind="stat",
            unit="bool_yes_no",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("DatabaseDown", "SchemaOutOfDate"),
            width=24,
        ),
        Panel(
            title="Share of connections in use",
            answers="Is a pool used up? Above the line requests begin to wait.",
            queries=(Query(expr=f"{used} / {most}", legend="{{job}}: {{pool}} {{instance}}"),),
            unit="percentunit",
            lines=(sources.line("DatabasePoolSaturated", "share"),),
            alerts=("DatabasePoolSaturated",),
        ),
        Panel(
            title="Requests that wait for a connection",
            answers="Does anybody wait, and does anybody wait in vain?",
            queries=(
                Query(
                    expr=f"sum by (job, pool) (db_client_connection_pending_requests{{{OWN}}})",
                    legend="{{job}}: {{pool}}",
                ),
                Query(
                    expr=increase("db_client_connection_timeouts_total", by="job", window="[5m]"),
                    legend="{{job}}: gave up within 5 minutes",
                ),
            ),
        ),
        Panel(
            title="Wait for a connection, slowest hundredth",
            answers="How much of a request's duration is that?",
            queries=(Query(expr=quantile(0.99, "db_client_connection_wait_time_seconds", by="job"), legend="{{job}}"),),
            unit="s",
        ),
    )


def _statements() -> tuple[Panel, ...]:
    labels = "db_operation_name, db_collection_name"
    return (
        Panel(
            title="Slowest hundredth of statements",
            answers="Which statement on which table is slow now: a lock, a plan, a table that has grown?",
            queries=(
                Query(
                    expr=f"topk(10, {quantile(0.99, _STATEMENTS, by=labels, window='[5m]')})",
                    legend="seconds",
                ),
            ),
            kind="table",
            unit="s",
        ),
        Panel(
            title="Statements per second",
            answers="What does the service do there, and does it do more than usual?",
            queries=(Query(expr=rate(f"{_STATEMENTS}_count", by="db_operation_name"), legend="{{db_operation_name}}"),),
            unit="ops",
            stacked=True,
        ),
        Panel(
            title="Errors per second, by code",
            answers="What does PostgreSQL refuse? 42501 is a row of another tenant, or a right that is missing.",
            queries=(
                Query(
                    expr=rate(f"{_STATEMENTS}_count", 'error_type!=""', by="db_collection_name, error_type"),
                    legend="{{error_type}} {{db_collection_name}}",
                    may_be_empty="no statement has failed",
                ),
            ),
            unit="ops",
            alerts=("DatabaseAccessRefused",),
        ),
    )


def _replicas(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Replicas' lag",
            answers="How late is what readers see?",
            queries=(
                Query(
                    expr=f"max by (replica) (read_replicas_lag_seconds{{{OWN}}})",
                    legend="{{replica}}",
                    may_be_empty=_NO_REPLICA,
                ),
            ),
            unit="s",
            lines=(sources.line("ReplicationLagHigh", "lag"),),
            alerts=("ReplicationLagHigh",),
        ),
        Panel(
            title="Replicas in use",
            answers="Do all replicas get reads?",
            queries=(
                Query(
                    expr=f"min by (replica) (read_replicas_in_use{{{OWN}}})",
                    legend="{{replica}}",
                    may_be_empty=_NO_REPLICA,
                ),
            ),
            kind="stat",
            unit="bool_yes_no",
            lines=(Line(1, "ticket"),),
            bad_below=True,
            alerts=("ReplicaUnused",),
            width=4,
        ),
        Panel(
            title="Reads per second, by server",
            answers="Who answers reads, and why is it not a replica?",
            queries=(
                Query(expr=rate("read_replicas_reads_total", by="server"), legend="{{server}}: all"),
                Query(
                    expr=rate("read_replicas_reads_total", 'reason!=""', by="reason") + " > 0",
                    legend="by the primary: {{reason}}",
                    may_be_empty="replicas answer all reads that they may",
                ),
            ),
            unit="ops",
            width=12,
        ),
    )


def _tables(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Months ahead that have a partition",
            answers="Is there room for what is written next month? The dashed series is how many there should be;"
            " -1 is a table that has none for this month.",
            queries=(
                Query(expr=f"min by (table) (partition_ahead_months{{{OWN}}})", legend="{{table}}"),
                Query(expr=f"max(partition_wanted_months{{{OWN}}})", legend="wanted"),
            ),
            lines=(Line(0, "ticket"),),
            bad_below=True,
            alerts=("PartitionsMissing",),
        ),
        Panel(
            title="Rows outside of every month",
            answers="Has anything been written for which no partition was there?",
            queries=(Query(expr=f"max by (table) (partition_default_rows{{{OWN}}})", legend="{{table}}"),),
            alerts=("PartitionDefaultRows",),
        ),
        Panel(
            title="Since all that was due was removed",
            answers="Is anything kept for longer than it may be? A table without a line was never cleaned.",
            queries=(
                Query(
                    expr=f"time() - (max by (table) (retention_last_success_timestamp_seconds{{{OWN}}}) > 0)",
                    legend="{{table}}",
                ),
            ),
            unit="s",
            lines=(sources.line("RetentionLate", "age"),),
            alerts=("RetentionLate",),
        ),
        Panel(
            title="Transactions across tenants, per second",
            answers="Which jobs see more than one tenant, and do they do it more often than usual?",
            queries=(Query(expr=rate("tenancy_crossings_total", by="job_name"), legend="{{job_name}}"),),
            unit="ops",
            width=12,
        ),
        Panel(
            title="Events the inbox has forgotten, per second",
            answers="Is what consumers remember of handled events removed again?",
            queries=(Query(expr=rate("inbox_events_forgotten_total"), legend="forgotten"),),
            unit="ops",
            width=12,
        ),
    )
