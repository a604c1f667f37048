"""Alerts of ops/alerts.yaml as rules, and their examples as tests for promtool."""

from collections.abc import Mapping
from typing import Any

from dev.ops.alerts import Alert, Alerts, Example
from dev.ops.durations import seconds, written
from dev.ops.rules import Rule, annotations, dump

HEAD = "# Written by `make ops` from ops/alerts.yaml.\n"
FILES = {"30s": "causes", "5m": "causes-of-days"}
"""By the pace of their examples: promtool evaluates all rules of a file for each example."""
RULES = "{}.alerts.rules.yaml"
TESTS = "{}.alerts.test.yaml"
_Test = dict[str, Any]


def rule_files(alerts: Alerts, *, scale: float = 1.0) -> Mapping[str, str]:
    """Return the files of rules, in which times that an alert compares with are multiplied by `scale`."""
    return {
        RULES.format(file): HEAD
        + dump({"groups": [{"name": file, "rules": [_rule(name, alert, scale) for name, alert in these.items()]}]})
        for file, these in _by_file(alerts).items()
    }


def test_files(alerts: Alerts) -> Mapping[str, str]:
    """Return the files of tests: each example, looked at one step before and at each moment that it names."""
    files = {}
    for file, these in _by_file(alerts).items():
        tests = [
            _test(name, number, alert, example)
            for name, alert in these.items()
            for number, example in enumerate(alert.examples, 1)
        ]
        every = next(iter(these.values())).every
        rules = [f"../prometheus/{RULES.format(file)}"]
        files[TESTS.format(file)] = HEAD + dump({"rule_files": rules, "evaluation_interval": every, "tests": tests})
    return files


def _by_file(alerts: Alerts) -> dict[str, dict[str, Alert]]:
    return {
        file: {name: alert for name, alert in alerts.alerts.items() if alert.every == every}
        for every, file in FILES.items()
    }


def _rule(name: str, alert: Alert, scale: float) -> Rule:
    labels: dict[str, str] = {"severity": alert.severity, "owner": alert.owner}
    if alert.deploy_sensitive:
        labels["deploy_sensitive"] = "true"
    return {
        "alert": name,
        "expr": alert.expression(scale=scale),
        **({"for": alert.for_} if alert.for_ else {}),
        **({"keep_firing_for": alert.keep_firing_for} if alert.keep_firing_for else {}),
        "labels": labels,
        "annotations": annotations(
            name, alert.summary, impact=alert.impact, first_step=alert.first_step, dashboard=alert.dashboard
        ),
    }


def _test(name: str, number: int, alert: Alert, example: Example) -> _Test:
    fires, ends, step = example.moment("fires"), example.moment("ends"), seconds(alert.every)
    moments = {example.steps * step: False} if fires is None else {fires: True}
    if fires:
        moments[fires - step] = False
    if ends is not None:
        held = ends + (seconds(alert.keep_firing_for) if alert.keep_firing_for else 0)
        moments |= {held - step: True, held: False}
    return {
        "name": f"{name}: example {number}",
        "interval": alert.every,
        "input_series": [{"series": series, "values": values} for series, values in example.given.items()],
        "promql_expr_test": [_check(name, alert, at, fires=firing) for at, firing in sorted(moments.items())],
    }


def _check(name: str, alert: Alert, at: int, *, fires: bool) -> dict[str, Any]:
    return {
        "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing", severity="{alert.severity}"}})',
        "eval_time": written(at) if at else "0s",
        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
    }
