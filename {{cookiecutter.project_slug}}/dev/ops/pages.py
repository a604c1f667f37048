"""Tables of docs/alerts.md, and the head of each runbook: what an alert is, in one look."""

from collections.abc import Mapping
from pathlib import Path

from dev.environment import ROOT
from dev.markdown import table
from dev.ops import runbooks
from dev.ops.alerts import Alert, Alerts
from dev.ops.first_runbook import first_runbook
from dev.ops.rules import burn_alert
from dev.ops.slos import Slo, Slos
from dev.telemetry_policy.marks import with_blocks

PAGE = ROOT / "docs" / "alerts.md"


def names(alerts: Alerts, levels: Slos) -> list[str]:
    """Return every alert there is."""
    return [*map(burn_alert, levels.slos), *alerts.alerts]


def pages(alerts: Alerts, levels: Slos) -> Mapping[Path, str]:
    """Return the page of all alerts, and each runbook.

    Raises:
        BadSource: an alert has no runbook, or one is wrong.
    """
    new = {
        runbooks.FOLDER / f"{burn_alert(name)}.md": first_runbook(name, slo)
        for name, slo in levels.slos.items()
        if not (runbooks.FOLDER / f"{burn_alert(name)}.md").exists()
    }
    runbooks.check({*names(alerts, levels)} - {path.stem for path in new})
    heads = {name: _head(alert) for name, alert in alerts.alerts.items()}
    heads |= {burn_alert(name): _burn_head(name, slo, levels) for name, slo in levels.slos.items()}
    paths = [runbooks.FOLDER / f"{name}.md" for name in heads]
    texts = {path: new.get(path) or path.read_text() for path in paths}
    made = {path: with_blocks(text, {"header": heads[path.stem]}) for path, text in texts.items()}
    return {**made, PAGE: with_blocks(PAGE.read_text(), {"alerts": _all(alerts, levels)})}


def _all(alerts: Alerts, levels: Slos) -> str:
    rows = [
        [_link(burn_alert(name)), "page, ticket", "service", f"{slo.impact[:-1]}: {name} is missed"]
        for name, slo in levels.slos.items()
    ]
    rows += [[_link(name), alert.severity, alert.owner, alert.first_step] for name, alert in alerts.alerts.items()]
    return table(["alert", "severity", "owner", "what it is about, or what to do first"], rows)


def _head(alert: Alert) -> str:
    rows = [
        ["severity", alert.severity],
        ["owner", alert.owner],
        ["fires", f"after {alert.for_}" if alert.for_ else "at once"],
        ["users", alert.impact or "do not notice"],
        ["dashboard", f"`/d/{alert.dashboard}`"],
    ]
    return f"{table(['', ''], rows)}\n\n```\n{alert.expression().strip()}\n```"


def _burn_head(name: str, slo: Slo, levels: Slos) -> str:
    windows = ", ".join(f"{rate.severity} by {rate.long}" for rate in levels.burn_rates)
    rows = [
        ["severity", windows],
        ["owner", "service"],
        ["promise", f"{slo.promise} {slo.objective:g} % of the time, in {levels.window_days} days."],
        ["users", slo.impact],
        ["dashboard", "`/d/slo`"],
    ]
    return f"{table(['', ''], rows)}\n\nService level `{name}`, see [slo.md](../slo.md)."


def _link(name: str) -> str:
    return f"[{name}](runbooks/{name}.md)"
