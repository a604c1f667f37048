"""Service levels and alerts in the form that others read: OpenSLO, prometheus-operator, load tests, Argo Rollouts."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from dev.environment import project_name
from dev.ops.canary import analysis_template
from dev.ops.counting import bad_events, events
from dev.ops.rules import dump
from dev.ops.slos import Slo, Slos

_HEAD = "# Written by `make ops` from ops/slo.yaml.\n"
_TAKEN_IN = "# Written by `make ops`, so that deploy/k8s can take in what is beside it.\n"
_NAME = "service-levels"


def exports(levels: Slos, rules: Mapping[str, str]) -> Mapping[str, str]:
    """Return each file by its name, given those of the rules."""
    service = project_name()
    return {
        **{
            f"openslo/{name}.yaml": _HEAD + dump(_open_slo(service, name, slo, levels))
            for name, slo in levels.slos.items()
        },
        "kubernetes/prometheus-rule.yaml": _HEAD + dump(_prometheus_rule(rules)),
        "load/thresholds.json": _json({name: _threshold(slo) for name, slo in levels.slos.items() if slo.is_request}),
        "canary/analysis-template.yaml": _HEAD + dump(analysis_template(levels)),
        "canary/kustomization.yaml": _TAKEN_IN + "resources: [analysis-template.yaml]\n",
        "kubernetes/kustomization.yaml": _TAKEN_IN + "resources: [prometheus-rule.yaml]\n",
    }


def _open_slo(service: str, name: str, slo: Slo, levels: Slos) -> dict[str, Any]:
    """By the specification of OpenSLO v1; events are counted over the window, each once."""
    window = f"{levels.window_days}d"

    def source(query: str) -> dict[str, Any]:
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {"counter": True, "bad": source(bad_events(slo, window)), "total": source(events(slo, window))}
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": name, "displayName": name.replace("-", " ")},
        "spec": {
            "description": slo.promise,
            "service": service,
            "indicator": {"metadata": {"name": name}, "spec": {"ratioMetric": ratio}},
            "timeWindow": [{"duration": window, "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": slo.promise, "target": float(1 - slo.budget)}],
        },
    }


def _prometheus_rule(rules: Mapping[str, str]) -> dict[str, Any]:
    groups = [group for text in rules.values() for group in yaml.safe_load(text)["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": _NAME, "labels": {"app.kubernetes.io/component": _NAME}},
        "spec": {"groups": groups},
    }


def _threshold(slo: Slo) -> dict[str, Any]:
    """What a load test holds an endpoint to: the promise itself, from the client's side."""
    method, route = slo.events.where["http_request_method"], slo.events.where["http_route"]
    limit = {} if slo.within_seconds is None else {"within_seconds": slo.within_seconds}
    return {"request": f"{method} {route}", "good_percent_at_least": slo.objective, **limit}


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
