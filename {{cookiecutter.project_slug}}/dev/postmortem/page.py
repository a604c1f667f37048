"""A copy of docs/incidents/postmortem-template.md, with what Prometheus knows filled in."""

from dev.environment import ROOT
from dev.markdown import table
from dev.ops.durations import written
from dev.ops.rules import COUNTED
from dev.ops.slos import Slos
from dev.postmortem.timeline import Period, clock, timeline
from dev.prometheus_api import PrometheusApi
from dev.telemetry_policy.marks import with_blocks

TEMPLATE = ROOT / "docs" / "incidents" / "postmortem-template.md"


def page(prometheus: PrometheusApi, period: Period, levels: Slos) -> str:
    """Return the postmortem to begin with.

    Raises:
        NotKnown: Prometheus cannot be relied on.
    """
    return with_blocks(
        TEMPLATE.read_text(),
        {
            "facts": _facts(period),
            "timeline": _timeline(prometheus, period),
            "budget": _budget(prometheus, period, levels),
        },
    )


def _facts(period: Period) -> str:
    minutes = round((period.end - period.start) / 60)
    rows = [("from", f"{clock(period.start)} UTC"), ("to", f"{clock(period.end)} UTC"), ("minutes", str(minutes))]
    return table(("service", period.service), rows)


def _timeline(prometheus: PrometheusApi, period: Period) -> str:
    rows = [(clock(event.at), event.what) for event in timeline(prometheus, period)]
    return table(("UTC", "what"), rows or [(clock(period.start), "Prometheus saw nothing happen")])


def _budget(prometheus: PrometheusApi, period: Period, levels: Slos) -> str:
    """Return what the time has cost each level, as a share of what may fail in the window of its budget."""
    window = written(levels.window_days * 86_400)

    def by_level(expression: str) -> dict[str, float]:
        rows = prometheus.query(f"sum by (slo) ({expression})", at=period.end)
        return {row.labels.get("slo", ""): row.value for row in rows}

    bad = by_level(f"sum_over_time({period.raw(f'slo:bad_events:increase{COUNTED}')})")
    events = by_level(f"sum_over_time({period.now(f'slo:events:increase{COUNTED}')}[{window}])")
    left = by_level(period.now("slo:error_budget:remaining"))
    rows = []
    for name, slo in levels.slos.items():
        may_fail = events.get(name, 0) * float(slo.budget)
        spent = f"{bad[name] / may_fail:.1%}" if name in bad and may_fail else "no data"
        rows.append((f"`{name}`", spent, f"{left[name]:.1%}" if name in left else "no data"))
    return table(("service level", "budget spent in this time", "budget left at its end"), rows)
