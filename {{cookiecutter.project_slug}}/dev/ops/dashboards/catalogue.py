"""All dashboards, and the files that they become."""

import json
from collections.abc import Mapping

from dev.environment import ROOT
from dev.markdown import table
from dev.ops.alerts import Alerts
from dev.ops.dashboards import checked, database, dependencies, events, service, slo, telemetry
from dev.ops.dashboards.grafana import document
from dev.ops.dashboards.model import Dashboard
from dev.ops.dashboards.sources import Sources
from dev.ops.slos import Slos

PAGE = ROOT / "docs" / "dashboards.md"


def dashboards(alerts: Alerts, levels: Slos) -> list[Dashboard]:
    """Return them, the one to look at first at the beginning."""
    sources = Sources(alerts, levels)
    modules = (service, slo, dependencies, events, database, telemetry)
    return [module.dashboard(sources) for module in modules]


def files(alerts: Alerts, levels: Slos) -> Mapping[str, str]:
    """Return the file of each dashboard, by its name.

    Raises:
        BadSource: a panel asks for what nobody exposes, or an alert is on no panel.
    """
    made = dashboards(alerts, levels)
    checked.check(made, alerts, levels)
    return {f"grafana/{each.uid}.json": json.dumps(document(each, made), indent=2) + "\n" for each in made}


def blocks(alerts: Alerts, levels: Slos) -> dict[str, str]:
    """Return the table of docs/dashboards.md by its name."""
    rows = [
        [
            f"[`/d/{each.uid}`](../ops/generated/grafana/{each.uid}.json)",
            each.about,
            "; ".join(row.title for row in each.rows),
            str(sum(1 for _ in each.panels)),
        ]
        for each in dashboards(alerts, levels)
    ]
    return {"dashboards": table(["dashboard", "what it is about", "rows", "panels"], rows)}
