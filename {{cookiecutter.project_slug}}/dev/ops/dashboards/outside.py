"""What only an outsider sees: whether customers get through, and whether they come."""

from dev.ops.dashboards.model import OWN, Line, Panel, Query, Row, increase
from dev.ops.dashboards.sources import Sources

_REQUESTS = "http_server_request_duration_seconds_count"
_CUSTOMERS = 'http_route=~"/v1/.+"'


def row(sources: Sources) -> Row:
    """Return it."""
    return Row("Seen from outside", (*_states(), *_graphs(sources)))


def _states() -> tuple[Panel, ...]:
    return (
        Panel(
            title="A customer's journey works",
            answers="Did the last attempt to log in, buy, read and cancel succeed? The steps are on Service levels.",
            queries=(Query(expr=f"max by (journey) (synthetic_journey_success{{{OWN}}})", legend="{{journey}}"),),
            kind="stat",
            unit="bool_yes_no",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("SyntheticJourneyFailing",),
        ),
        Panel(
            title="Journeys within 15 minutes",
            answers="Is anything tried at all? Without a probe, or with one that is stuck, nobody would notice.",
            queries=(
                Query(
                    expr=increase("synthetic_journey_runs_total", by="journey", window="[15m]"), legend="{{journey}}"
                ),
                Query(expr=f'sum(up{{{OWN}, job="probe"}})', legend="probes that answer"),
            ),
            kind="stat",
            lines=(Line(1, "ticket"),),
            bad_below=True,
            alerts=("SyntheticJourneyStalled",),
        ),
        Panel(
            title="It is reached by its address",
            answers="Do name, certificate and load balancer lead to the service?",
            queries=(
                Query(
                    expr=f'max by (job) (probe_success{{{OWN}, job="blackbox-readiness"}})',
                    legend="{{job}}",
                ),
            ),
            kind="stat",
            unit="bool_yes_no",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("EndpointUnreachable",),
        ),
    )


def _graphs(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Customers' requests within 10 minutes, and a week ago",
            answers="Do fewer come than a week ago at this hour? A tenth of them is an outage in front of us.",
            queries=(
                Query(expr=increase(_REQUESTS, _CUSTOMERS, window="[10m]"), legend="now"),
                Query(
                    expr=increase(_REQUESTS, _CUSTOMERS, window="[10m] offset 7d"),
                    legend="a week ago",
                    may_be_empty="there was none a week ago",
                ),
            ),
            alerts=("TrafficAbsent",),
            width=12,
        ),
        Panel(
            title="Until the certificate ends",
            answers="Is it renewed in time?",
            queries=(
                Query(
                    expr=f"min by (instance) (probe_ssl_earliest_cert_expiry{{{OWN}}}) - time()",
                    legend="{{instance}}",
                ),
            ),
            unit="s",
            lines=(sources.line("CertificateExpiresSoon", "left"),),
            bad_below=True,
            alerts=("CertificateExpiresSoon",),
            width=12,
        ),
    )
