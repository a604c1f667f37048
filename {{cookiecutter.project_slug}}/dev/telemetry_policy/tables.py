"""The policy as tables, for people."""

from collections.abc import Sequence
from typing import get_args

from app.telemetry_policy import Environment, Policy, Stream


def blocks(policy: Policy) -> dict[str, str]:
    """Return the tables of docs/telemetry-policy.md by name."""
    return {
        "retention": _retention(policy),
        "sampling": _sampling(policy),
        "budget": _budget(policy),
        "access": _access(policy),
    }


def _retention(policy: Policy) -> str:
    kept, logs = policy.retention_days, policy.retention_days.logs
    rows = [
        ("metrics, raw", kept.metrics, "Prometheus"),
        ("metrics, recorded for the service levels", kept.slo_series, "a second Prometheus"),
        ("traces", kept.traces, "Tempo"),
        ("logs `app`, up to info", logs.app_info, "Loki"),
        ("logs `app`, from warning on", logs.app_warning, "Loki"),
        ("logs `security`", logs.security, "Loki"),
        ("logs `audit`", logs.audit, "Loki"),
    ]
    return _table(("what", "days", "where"), rows)


def _sampling(policy: Policy) -> str:
    slow, traces, logs = policy.sampling.slow_seconds, policy.sampling.traces, policy.sampling.logs
    rows = [
        ("new traces in development", f"{traces.head_ratio.development:.0%}", "the process"),
        ("new traces in staging and production", f"{traces.head_ratio.production:.0%}", "the process"),
        ("of these: traces with an error", "100%", "the collector"),
        (f"of these: traces of more than {slow:g} s", "100%", "the collector"),
        ("of these: all other traces", f"{traces.rest_ratio:.0%}", "the collector"),
        (f"lines of errors, and of requests that fail or take more than {slow:g} s", "100%", "the process"),
        *((f"lines of `{endpoint}`", f"{ratio:.0%}", "the process") for endpoint, ratio in logs.hot_requests.items()),
        ("lines of all other requests", f"{logs.request_ratio:.0%}", "the process"),
        ("lines of any other event", f"{logs.lines_per_second:g} a second, {logs.burst:,} at once", "the process"),
    ]
    return _table(("what", "kept", "decided by"), rows)


def _budget(policy: Policy) -> str:
    budget, prices = policy.budget, policy.prices
    rows = [
        ("log bytes", f"{budget.log_bytes_per_1000_requests:,.0f}", f"{prices.logs_per_gb:.2f} per GB"),
        ("log lines", f"{budget.log_lines_per_1000_requests:,.0f}", ""),
        ("span bytes", f"{budget.span_bytes_per_1000_requests:,.0f}", f"{prices.traces_per_gb:.2f} per GB"),
        ("spans", f"{budget.spans_per_1000_requests:,.0f}", ""),
        ("series, in one process", f"{budget.series_per_process:,}", f"{prices.per_1000_series:.2f} per 1,000 a month"),
        ("new series", f"{budget.new_series_per_1000_requests:,.0f}", ""),
    ]
    return _table(("per 1 000 requests", "at most", f"assumed price, {prices.currency}"), rows)


def _access(policy: Policy) -> str:
    columns = [(environment, stream) for environment in get_args(Environment) for stream in get_args(Stream)]
    rows = [
        (
            f"`{role}`",
            *(
                "yes" if environment in access.environments and stream in access.streams else "-"
                for environment, stream in columns
            ),
        )
        for role, access in policy.access.items()
    ]
    return _table(("role", *(f"{environment} `{stream}`" for environment, stream in columns)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
