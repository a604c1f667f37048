"""Who reads which logs, in the words of Grafana and of the cloud."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from app.telemetry_policy import Environment, Policy

_HEAD = """\
# Written by `make telemetry-policy`. Data sources for the Grafana of {environment}.
#
# Grafana without a licence shows everybody in an organisation all its data sources, so each role is an organisation.
# They are made by hand, in this order, after the first that is there from the beginning: {organisations}.
# Traces and metrics hold no personal data: who reads `app` reads them too.

"""


def cloud_values(policy: Policy) -> str:
    """Return the variables of the log groups and of their readers."""
    logs = policy.retention_days.logs
    values = {
        # A log group has one retention: the application's lines stay as long as its warnings.
        "log_retention_days": {"app": logs.app_warning, "security": logs.security, "audit": logs.audit},
        "log_access": {role: access.model_dump() for role, access in policy.access.items()},
    }
    return json.dumps(values, indent=2) + "\n"


def data_sources(policy: Policy, environment: Environment) -> str:
    """Return Grafana's provisioning file: per role the streams that it may read, and no others."""
    roles = [role for role, access in policy.access.items() if environment in access.environments]
    sources: list[dict[str, Any]] = []
    for organisation, role in enumerate(roles, start=2):
        streams = policy.access[role].streams
        sources += [{"orgId": organisation, **source} for source in _sources(streams)]
    head = _HEAD.format(environment=environment, organisations=", ".join(roles))
    return head + yaml.safe_dump({"apiVersion": 1, "datasources": sources}, sort_keys=False, width=120)


def _sources(streams: Sequence[str]) -> list[dict[str, Any]]:
    logs: dict[str, Any] = {
        "name": "Logs",
        "uid": "logs",
        "type": "loki",
        "access": "proxy",
        "url": "$LOKI_URL",
        "jsonData": {"httpHeaderName1": "X-Scope-OrgID"},
        "secureJsonData": {"httpHeaderValue1": "|".join(streams)},
    }
    if "app" not in streams:
        return [logs]
    logs["jsonData"] |= {
        "derivedFields": [
            {
                "name": "trace",
                "matcherRegex": '"trace_id":"(\\w+)"',
                "datasourceUid": "traces",
                "url": "$${__value.raw}",
            }
        ]
    }
    metrics = {
        "name": "Metrics",
        "uid": "metrics",
        "type": "prometheus",
        "access": "proxy",
        "url": "$PROMETHEUS_URL",
        "jsonData": {"exemplarTraceIdDestinations": [{"name": "trace_id", "datasourceUid": "traces"}]},
    }
    traces = {
        "name": "Traces",
        "uid": "traces",
        "type": "tempo",
        "access": "proxy",
        "url": "$TEMPO_URL",
        "jsonData": {
            "tracesToLogsV2": {
                "datasourceUid": "logs",
                "customQuery": True,
                "query": '{service_name="$${__span.tags["service.name"]}"} |= "$${__trace.traceId}"',
            }
        },
    }
    return [metrics, logs, traces]
