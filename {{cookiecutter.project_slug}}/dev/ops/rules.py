"""Recording rules and burn-rate alerts: what Prometheus has to know of the service levels.

Names and windows follow chapter 5 of The Site Reliability Workbook (2018), "Alerting on SLOs". What is left of the
budget is a ratio of counts over the whole window: a mean of ratios would weigh a quiet night like a busy day.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from dev.environment import repository_url
from dev.ops.alerts import KEEP_FIRING
from dev.ops.counting import bad_events, events
from dev.ops.durations import seconds, written
from dev.ops.slos import BurnRate, Slo, Slos

COUNTED = "5m"  # the window of the counts that the budget adds up
HEAD = "# Written by `make ops` from ops/slo.yaml.\n"
Rule = dict[str, Any]


def burn_alert(name: str) -> str:
    """Return the name of the alerts of a service level."""
    return "".join(part.capitalize() for part in name.split("-")) + "BudgetBurn"


def rule_files(slos: Slos) -> Mapping[str, str]:
    """Return the files of rules, by name; each service level has two, so that its tests evaluate nothing else."""
    files = {}
    for name, slo in slos.slos.items():
        files[f"{name}.recording.rules.yaml"] = _yaml(f"{name}-recording", _recording(name, slo, slos))
        files[f"{name}.alerts.rules.yaml"] = _yaml(f"{name}-alerts", _alerts(name, slo, slos))
    return files


def windows(slos: Slos) -> list[str]:
    """Return the windows over which ratios are recorded, the shortest first."""
    return sorted({COUNTED, *(window for rate in slos.burn_rates for window in (rate.long, rate.short))}, key=seconds)


def _recording(name: str, slo: Slo, slos: Slos) -> list[Rule]:
    labels = {"slo": name}

    def record(metric: str, expr: str) -> Rule:
        return {"record": metric, "expr": expr, "labels": labels}

    own = f'{{slo="{name}"}}'
    month = written(slos.window_days * 86_400)
    bad, all_ = (f"sum_over_time(slo:{what}:increase{COUNTED}{own}[{month}])" for what in ("bad_events", "events"))
    rules = []
    for window in windows(slos):
        counts = f"slo:bad_events:increase{window}{own} / (slo:events:increase{window}{own} > 0)"
        rules += [
            record(f"slo:events:increase{window}", events(slo, window)),
            record(f"slo:bad_events:increase{window}", bad_events(slo, window)),
            record(f"slo:errors:ratio_rate{window}", counts),
        ]
    return [
        *rules,
        record("slo:errors:ratio_month", f"{bad} / ({all_} > 0)"),
        record("slo:error_budget:remaining", f"1 - slo:errors:ratio_month{own} / {_number(slo.budget)}"),
    ]


def _alerts(name: str, slo: Slo, slos: Slos) -> list[Rule]:
    return [_alert(name, slo, rate, slos) for rate in slos.burn_rates]


def _alert(name: str, slo: Slo, rate: BurnRate, slos: Slos) -> Rule:
    own = f'{{slo="{name}"}}'
    threshold = _number(rate.factor(slos.window_days) * slo.budget)
    expr = (
        f"slo:errors:ratio_rate{rate.long}{own} > {threshold} and slo:errors:ratio_rate{rate.short}{own} > {threshold} "
        f"and slo:bad_events:increase{rate.long}{own} >= {slo.min_bad_events}"
    )
    return {
        "alert": burn_alert(name),
        "expr": expr,
        "for": rate.for_,
        **({"keep_firing_for": KEEP_FIRING} if rate.severity == "page" else {}),
        "labels": {"severity": rate.severity, "owner": "service", "window": rate.long},
        "annotations": annotations(
            burn_alert(name),
            f"{slo.impact[:-1]}: {{{{ $value | humanizePercentage }}}} of {name} failed within {rate.long}.",
            impact=slo.impact,
            first_step="Look what was deployed last, and which status or step the bad events have in common.",
            dashboard="slo",
            description=f"{slo.promise[:-1]}, for {slo.objective:g} % of events in {slos.window_days} days: at this "
            f"rate {rate.budget_percent:g} % of what may fail in that time has failed within {rate.long}.",
        ),
    }


def annotations(
    name: str, summary: str, *, impact: str | None, first_step: str, dashboard: str, **more: str
) -> dict[str, str]:
    """Return what an alert tells whoever gets it."""
    return {
        "summary": summary,
        **more,
        **({"impact": impact} if impact else {}),
        "first_step": first_step,
        "runbook_url": f"{repository_url()}/blob/main/docs/runbooks/{name}.md",
        "dashboard": f"/d/{dashboard}?var-service={{{{ $labels.service }}}}",
    }


def _number(value: Any) -> str:  # noqa: ANN401 - whatever float takes
    return f"{float(value):.12g}"


def _yaml(group: str, rules: list[Rule]) -> str:
    return HEAD + dump({"groups": [{"name": f"slo-{group}", "rules": rules}]})


class Lines(str):
    """Text that is written line by line."""

    __slots__ = ()


def dump(document: object) -> str:
    """Return YAML in which everything is written out."""
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, width=1_000, allow_unicode=True)


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - what PyYAML calls it with
        return True


_WithoutAliases.add_representer(
    Lines, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)
