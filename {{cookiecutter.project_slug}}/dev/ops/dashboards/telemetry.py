"""Can what the other dashboards show be believed, and what does it cost?"""

from dev.ops.dashboards.model import OWN, Dashboard, Panel, Query, Row, increase, rate
from dev.ops.dashboards.sources import Sources

_REQUESTS = "http_server_request_duration_seconds_count"


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="telemetry",
        title="Telemetry",
        about="What is lost on its way, and how much there is of series, lines and spans.",
        rows=(
            Row("Is anything lost?", _lost()),
            Row("How much is there?", _amounts(sources)),
            Row("What is most of it?", _sources_of_most()),
        ),
    )


def _lost() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Lost within 5 minutes",
            answers="Are traces or lines missing, because the collector takes none or the disk is full?",
            queries=(
                Query(expr=increase("spans_dropped_total", by="reason", window="[5m]"), legend="spans: {{reason}}"),
                Query(
                    expr=increase("log_lines_dropped_total", 'reason="unwritable"', window="[5m]"),
                    legend="lines: unwritable",
                    may_be_empty="every line was written",
                ),
            ),
            alerts=("TelemetryDropping",),
        ),
        Panel(
            title="Lines left out on purpose, per second",
            answers="Which events were limited? A summary of them is in the log.",
            queries=(
                Query(
                    expr=rate("log_lines_dropped_total", 'reason!="unwritable"', by="event, reason"),
                    legend="{{event}}: {{reason}}",
                    may_be_empty="no event is loud enough",
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="Values that had no room, within an hour",
            answers="Does a label have more values than were declared? They are counted together.",
            queries=(
                Query(
                    expr=f"sum by (metric, label) (increase(metric_label_overflow_total{{{OWN}}}[1h])) > 0",
                    legend="{{metric}}: {{label}}",
                    may_be_empty="every value has room",
                ),
            ),
        ),
    )


def _amounts(sources: Sources) -> tuple[Panel, ...]:
    requests = f"sum(rate({_REQUESTS}{{{OWN}}}[15m]))"
    return (
        Panel(
            title="Series of a process",
            answers="Does a process expose more than was planned?",
            queries=(
                Query(
                    expr=f'max by (job, instance) (scrape_samples_post_metric_relabeling{{{OWN}, job=~"http|worker"}})',
                    legend="{{job}} {{instance}}",
                ),
            ),
            lines=(sources.line("SeriesBudgetExceeded", "series"),),
            alerts=("SeriesBudgetExceeded",),
        ),
        Panel(
            title="Bytes of log per request",
            answers="Does a request write more than was planned?",
            queries=(
                Query(
                    expr=f'sum(rate(log_bytes_total{{{OWN}, job="http"}}[15m])) / ({requests} > 0)',
                    legend="bytes per request",
                ),
            ),
            unit="bytes",
            lines=(sources.line("LogVolumeOverBudget", "bytes_per_request"),),
            alerts=("LogVolumeOverBudget",),
        ),
        Panel(
            title="Bytes per second",
            answers="How much goes out, of lines and of spans?",
            queries=(
                Query(expr=rate("log_bytes_total", by="job"), legend="{{job}}: lines"),
                Query(expr=rate("span_bytes_exported_total", by="job"), legend="{{job}}: spans"),
            ),
            unit="Bps",
            stacked=True,
        ),
    )


def _sources_of_most() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Bytes of log, by event",
            answers="Which event is most of the volume?",
            queries=(
                Query(
                    expr=f"topk(10, {rate('log_bytes_total', by='event', window='[15m]')})", legend="bytes per second"
                ),
            ),
            kind="table",
            unit="Bps",
        ),
        Panel(
            title="Lines of log, by event",
            answers="Which event is written most often?",
            queries=(
                Query(
                    expr=f"topk(10, {rate('log_lines_total', by='event', window='[15m]')})", legend="lines per second"
                ),
            ),
            kind="table",
            unit="ops",
        ),
        Panel(
            title="Spans, by name",
            answers="Which span is exported most often?",
            queries=(
                Query(
                    expr=f"topk(10, {rate('spans_exported_total', by='name', window='[15m]')})",
                    legend="spans per second",
                ),
            ),
            kind="table",
            unit="ops",
        ),
    )
