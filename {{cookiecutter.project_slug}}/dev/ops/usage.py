"""Which metrics anybody looks at: what nobody does costs series and says nothing."""

from collections.abc import Iterator, Mapping

import yaml

from app.kit.instruments import DECLARED
from dev.ops import cause_rules, pages, rules, runbooks
from dev.ops.alerts import Alerts
from dev.ops.dashboards.catalogue import dashboards
from dev.ops.dashboards.checked import metrics
from dev.ops.selectors import declare_all
from dev.ops.slos import Slos

JUSTIFIED: Mapping[str, str] = {}
"""Metrics that no rule, dashboard or runbook asks for, each with the reason why it is there all the same."""


def idle(alerts: Alerts, levels: Slos) -> set[str]:
    """Return the metrics of our own that nobody asks for."""
    declare_all()
    return DECLARED.keys() - metrics(_expressions(alerts, levels))


def _expressions(alerts: Alerts, levels: Slos) -> Iterator[str]:
    files = [*rules.rule_files(levels).values(), *cause_rules.rule_files(alerts).values()]
    for file in files:
        for group in yaml.safe_load(file)["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    for dashboard in dashboards(alerts, levels):
        yield from (query.expr for panel in dashboard.panels for query in panel.queries)
    for name in pages.names(alerts, levels):
        if (runbooks.FOLDER / f"{name}.md").exists():
            blocks = runbooks.read(name).blocks.values()
            yield from (block.text for section in blocks for block in section if block.kind == "promql")
