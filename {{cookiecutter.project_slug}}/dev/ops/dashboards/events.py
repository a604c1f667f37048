"""What happens after the answer: events from the outbox to their consumers, the worker's jobs, the audit log."""

from dev.ops.dashboards.model import OWN, Dashboard, Line, Panel, Query, Row, increase, quantile, rate
from dev.ops.dashboards.sources import Sources


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="events",
        title="Events and jobs",
        about="What happens after an answer: events from the outbox to their consumers, jobs, and the audit log.",
        rows=(
            Row("Worker", _worker()),
            Row("Outbox: from the table to the broker", _outbox(sources)),
            Row("Consumers: from the broker to the effect", _consumers(sources)),
            Row("Audit log", _audit_log(sources)),
        ),
    )


def _worker() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Workers that answer",
            answers="Does any worker run? Without one nothing is passed on, and orders stay open.",
            queries=(Query(expr=f'sum(up{{{OWN}, job="worker"}})', legend="workers"),),
            kind="stat",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("WorkerDown",),
            width=6,
        ),
        Panel(
            title="Crashes of jobs, within 15 minutes",
            answers="Which job ends by a mistake in its code, and begins anew?",
            queries=(
                Query(expr=increase("worker_job_crashes_total", by="job_name", window="[15m]"), legend="{{job_name}}"),
            ),
            alerts=("WorkerJobCrashing",),
            width=9,
        ),
        Panel(
            title="Orders settled per second",
            answers="Do orders come to an end, and to which?",
            queries=(
                Query(expr=rate("orders_settled_total", by="state"), legend="{{state}}"),
                Query(expr=rate("orders_settlement_postponed_total"), legend="postponed"),
            ),
            unit="ops",
            width=9,
        ),
    )


def _outbox(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Age of the oldest event that waits",
            answers="Does the relay keep up? What is older than the line is shown late everywhere.",
            queries=(Query(expr=f"max(outbox_oldest_age_seconds{{{OWN}}})", legend="oldest"),),
            unit="s",
            lines=(sources.line("OutboxLagging", "age"),),
            alerts=("OutboxLagging",),
        ),
        Panel(
            title="Events that wait, and that were given up",
            answers="How many are there? What was given up waits for somebody's decision.",
            queries=(
                Query(expr=f"max(outbox_waiting_events{{{OWN}}})", legend="wait"),
                Query(expr=f"max(outbox_parked_events{{{OWN}}})", legend="given up"),
                Query(
                    expr=increase("outbox_events_parked_total", by="reason", window="[1h]"),
                    legend="given up within an hour: {{reason}}",
                ),
            ),
            alerts=("OutboxEventsParked",),
        ),
        Panel(
            title="Published per second",
            answers="Does the broker take them? Duplicates are events of a relay that died before it could note them.",
            queries=(
                Query(expr=rate("outbox_messages_published_total", by="duplicate"), legend="duplicate: {{duplicate}}"),
            ),
            unit="ops",
        ),
        Panel(
            title="Failures per second",
            answers="What stops the relay: the broker, a full stream, or the database?",
            queries=(
                Query(expr=rate("outbox_pass_failures_total", by="reason"), legend="pass: {{reason}}"),
                Query(expr=rate("outbox_publish_failures_total"), legend="one event"),
            ),
            unit="ops",
            width=12,
        ),
        Panel(
            title="Slowest hundredth of passes and of publishing",
            answers="Is it the broker that is slow, or the table?",
            queries=(
                Query(expr=quantile(0.99, "outbox_pass_duration_seconds"), legend="a pass"),
                Query(expr=quantile(0.99, "outbox_publish_duration_seconds"), legend="of it, the broker"),
            ),
            unit="s",
            width=12,
        ),
    )


def _consumers(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Delay until it takes effect, slowest hundredth",
            answers="How old is an event when its consumer is done with it? The line is what is promised.",
            queries=(Query(expr=quantile(0.99, "inbox_delivery_delay_seconds", by="consumer"), legend="{{consumer}}"),),
            unit="s",
            lines=(sources.promised("event-delivery"),),
            width=6,
        ),
        Panel(
            title="Messages per second",
            answers="What comes of them? Duplicates are normal after a restart.",
            queries=(
                Query(
                    expr=rate("inbox_messages_handled_total", by="consumer, outcome"),
                    legend="{{consumer}}: {{outcome}}",
                ),
            ),
            unit="ops",
            width=6,
        ),
        Panel(
            title="Messages that failed, within 15 minutes",
            answers="Which consumer cannot handle what it gets?",
            queries=(
                Query(
                    expr=increase(
                        "inbox_messages_handled_total", 'outcome=~"failed|malformed"', by="consumer", window="[15m]"
                    ),
                    legend="{{consumer}}",
                ),
            ),
            lines=(sources.line("MessagesFailing", "messages"),),
            alerts=("MessagesFailing",),
            width=6,
        ),
        Panel(
            title="Duration of handling, slowest hundredth",
            answers="Is a consumer itself slow, or does it only get its messages late?",
            queries=(
                Query(expr=quantile(0.99, "inbox_handle_duration_seconds", by="consumer"), legend="{{consumer}}"),
            ),
            unit="s",
            width=6,
        ),
    )


def _audit_log(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Age of the oldest entry that is not sealed",
            answers="Could an entry still be changed without a trace, and for how long?",
            queries=(Query(expr=f"max(audit_oldest_unsealed_seconds{{{OWN}}})", legend="oldest"),),
            unit="s",
            lines=(sources.line("AuditSealingLate", "age"),),
            alerts=("AuditSealingLate",),
        ),
        Panel(
            title="Sealed and exported per second",
            answers="Does it go on? A pass that failed is tried again.",
            queries=(
                Query(expr=rate("audit_entries_sealed_total"), legend="entries sealed"),
                Query(expr=rate("audit_segments_exported_total"), legend="segments exported"),
                Query(expr=rate("audit_seal_failures_total"), legend="passes that failed"),
            ),
            unit="ops",
        ),
        Panel(
            title="Exports that failed, within 15 minutes",
            answers="Does the archive take what it should keep? `damaged` is for security, at once.",
            queries=(
                Query(expr=increase("audit_export_failures_total", by="reason", window="[15m]"), legend="{{reason}}"),
            ),
            lines=(sources.line("AuditExportFailing", "times"),),
            alerts=("AuditExportFailing", "AuditLogDamaged"),
        ),
    )
