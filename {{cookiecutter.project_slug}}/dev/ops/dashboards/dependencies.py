"""Is it us, or somebody whom we ask?"""

from dev.ops.dashboards.model import OWN, Dashboard, Panel, Query, Row, quantile, rate, share
from dev.ops.dashboards.sources import Sources

_CALLS = "http_client_request_duration_seconds"


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="dependencies",
        title="Dependencies",
        about="Services that this one asks: the payment provider, the issuer of tokens, and others.",
        rows=(
            Row("Do they work?", _health(sources)),
            Row("Calls", _calls()),
            Row("What follows", _consequences()),
            Row("Feature flags", _flags(sources)),
        ),
    )


def _health(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Checks",
            answers="What does each kind of process say of what it needs? The worst of its processes counts.",
            queries=(Query(expr=f"min by (job, check) (health_check_success{{{OWN}}})", legend="{{job}}: {{check}}"),),
            kind="stat",
            unit="bool_yes_no",
            bad_below=True,
            width=12,
        ),
        Panel(
            title="Share of calls that fail",
            answers="Which dependency fails? Above the line it is out, and not only slow.",
            queries=(
                Query(
                    expr=share(f"{_CALLS}_count", 'error_type!=""', by="server_address", window="[5m]"),
                    legend="{{server_address}}",
                ),
            ),
            unit="percentunit",
            lines=(sources.line("DependencyFailing", "share"),),
            alerts=("DependencyFailing",),
            width=12,
        ),
    )


def _calls() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Calls per second",
            answers="Do we ask at all, and as often as usual?",
            queries=(Query(expr=rate(f"{_CALLS}_count", by="server_address"), legend="{{server_address}}"),),
            unit="reqps",
        ),
        Panel(
            title="Slowest hundredth of calls",
            answers="Which dependency is slow?",
            queries=(Query(expr=quantile(0.99, _CALLS, by="server_address"), legend="{{server_address}}"),),
            unit="s",
        ),
        Panel(
            title="Failures per second, by reason",
            answers="How does it fail: a status, a time-out, a connection that is refused?",
            queries=(
                Query(
                    expr=rate(f"{_CALLS}_count", 'error_type!=""', by="server_address, error_type"),
                    legend="{{server_address}}: {{error_type}}",
                    may_be_empty="no call has failed",
                ),
            ),
            unit="reqps",
        ),
    )


def _consequences() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Tokens that could not be judged, per second",
            answers="Are customers turned away because the issuer's keys cannot be had?",
            queries=(
                Query(
                    expr=rate("authentication_tokens_total", 'outcome="keys_unavailable"'), legend="keys unavailable"
                ),
            ),
            unit="ops",
            width=12,
        ),
        Panel(
            title="Orders that wait for the payment provider, per second",
            answers="Does the provider decide? An order without a decision is tried again later, less and less often.",
            queries=(
                Query(expr=rate("orders_settlement_postponed_total"), legend="postponed"),
                Query(expr=rate("orders_settled_total", by="state"), legend="{{state}}"),
            ),
            unit="ops",
            width=12,
        ),
    )


def _flags(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Since the flag server's last word",
            answers="Does a switch that is thrown now arrive? Above the line it does not; what was known last goes on.",
            queries=(
                Query(
                    expr=f"time() - min by (job) (feature_flags_last_fetch_timestamp_seconds{{{OWN}}} > 0)",
                    legend="{{job}}",
                    may_be_empty="there is no flag server",
                ),
            ),
            unit="s",
            lines=(sources.line("FeatureFlagsStale", "age"),),
            alerts=("FeatureFlagsStale",),
        ),
        Panel(
            title="Questions to the flag server per second",
            answers="Does it answer, and if not, how does it fail?",
            queries=(Query(expr=rate("feature_flags_fetches_total", by="outcome"), legend="{{outcome}}"),),
            unit="ops",
        ),
        Panel(
            title="Answers per second, by flag",
            answers="Which flags are asked for, and what do they say? After a change, whether it has arrived.",
            queries=(
                Query(expr=rate("feature_flag_evaluations_total", by="flag, variant"), legend="{{flag}}: {{variant}}"),
            ),
            unit="ops",
        ),
    )
