"""Alertmanager's configuration: what people wrote, and the inhibitions that follow from the alerts."""

from typing import Any

import yaml

from dev.environment import ROOT
from dev.ops.alerts import Alerts
from dev.ops.lines import Document
from dev.ops.rules import burn_alert, dump
from dev.ops.slos import Slos

SOURCE = ROOT / "ops" / "alertmanager" / "alertmanager.yaml"
OUTPUT = "alertmanager/alertmanager.yaml"
_HEAD = "# Written by `make ops` from ops/alertmanager/alertmanager.yaml and ops/alerts.yaml.\n"


def configuration(alerts: Alerts, slos: Slos) -> str:
    """Return the whole configuration.

    Raises:
        BadSource: what people wrote is no YAML.
    """
    Document(SOURCE)
    config: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
    config["inhibit_rules"] += [_inhibition(name, targets) for name, targets in inhibitions(alerts, slos).items()]
    return _HEAD + dump(config)


def inhibitions(alerts: Alerts, slos: Slos) -> dict[str, list[str]]:
    """Return, by alert, which others are not sent while it fires."""
    burns = {name: burn_alert(name) for name in slos.slos}
    return {
        name: [*alert.inhibits, *(burns[level] for level in alert.inhibits_levels)]
        for name, alert in alerts.alerts.items()
        if alert.inhibits or alert.inhibits_levels
    }


def _inhibition(name: str, targets: list[str]) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname="{name}"'],
        "target_matchers": [f'alertname=~"{"|".join(targets)}"'],
        "equal": ["service"],
    }
