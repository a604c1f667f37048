"""What makes a dashboard lie: a query that nothing answers, a legend without its label, an alert that leads nowhere."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import yaml

from dev.ops.alerts import Alerts
from dev.ops.dashboards.grafana import deployments, firing
from dev.ops.dashboards.model import Dashboard, Panel, Query, filled
from dev.ops.lines import BadSource
from dev.ops.rules import burn_alert, rule_files
from dev.ops.selectors import declare_all, grouped, labels_of, mistakes, selectors
from dev.ops.slos import Slos

_IN_LEGEND = re.compile(r"\{\{(\w+)\}\}")
_SENTENCE = re.compile(r"[A-Z].+[.?]")
_NEVER_WATCHED = frozenset({"Watchdog"})
"""Its expression asks for nothing."""


def check(dashboards: Iterable[Dashboard], alerts: Alerts, levels: Slos) -> None:
    """Return if every panel of every dashboard can show what it says.

    Raises:
        BadSource: with the dashboard, the panel and the reason of each mistake.
    """
    declare_all()
    made = [*dashboards]
    told = [f"dashboard {each.uid}: {place}: {why}" for each in made for place, why in _of_dashboard(each)]
    told += [f"the annotation of {name}: {why}" for name, query in _ANNOTATIONS for why in of_query(query)]
    if not told:  # otherwise there are expressions that cannot be read
        told = [*_of_alerts(made, alerts, levels), *_of_records(made, levels)]
    if told:
        raise BadSource("\n".join(told))


_ANNOTATIONS = (("deployments", deployments()), ("alerts", firing()))


def metrics(queries: Iterable[str]) -> set[str]:
    """Return the metrics that expressions ask for; a histogram under its own name, whichever of its series it is."""
    return {_bare(chosen.metric) for expr in queries for chosen in selectors(filled(expr))}


def of_query(query: Query, *, of_all_services: bool = False) -> Iterator[str]:
    """Yield what is wrong with a query."""
    expr = filled(query.expr)
    wrong = [*mistakes(expr)]
    if "$" in expr:
        wrong.append(f"{expr!r} has a variable that nothing is put in for")
    yield from wrong
    if wrong:
        return
    if not of_all_services:
        for chosen in selectors(expr):
            if ("service", "=", "service") not in chosen.matchers:
                yield f"{chosen.metric} is not chosen by service"
    has = grouped(expr) or {label for chosen in selectors(expr) for label in labels_of(chosen.metric) or ()}
    for label in sorted(set(_IN_LEGEND.findall(query.legend)) - has):
        yield f"its legend has {label}, which its series have not"


def _of_dashboard(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    for title, times in Counter(panel.title for panel in dashboard.panels).items():
        if times > 1:
            yield title, "there are two of that title"
    for panel in dashboard.panels:
        yield from ((panel.title, why) for why in _of_panel(panel))


def _of_panel(panel: Panel) -> Iterator[str]:
    if not _SENTENCE.fullmatch(panel.answers):
        yield "it does not say in a sentence what it answers"
    if bool(panel.queries) == (panel.kind == "text"):
        yield "a panel has queries, or it is a text"
    if panel.kind == "table" and len(panel.queries) != 1:
        yield "a table has one query"
    for query in panel.queries:
        yield from of_query(query, of_all_services=panel.of_all_services)


def _of_alerts(dashboards: list[Dashboard], alerts: Alerts, levels: Slos) -> Iterator[str]:
    leads_to: dict[str, str] = {name: alert.dashboard for name, alert in alerts.alerts.items()}
    leads_to |= dict.fromkeys(map(burn_alert, levels.slos), "slo")
    places = [(each.uid, panel.title, name) for each in dashboards for panel in each.panels for name in panel.alerts]
    for at, title, name in places:
        if leads_to.get(name) != at:
            yield f"dashboard {at}: {title}: {name} is no alert that leads here"
    for name, uid in leads_to.items():
        panels = [panel for each in dashboards if each.uid == uid for panel in each.panels]
        own = [panel for panel in panels if name in panel.alerts]
        if not panels:
            yield f"{name} leads to the dashboard {uid}, which there is not"
        elif not own:
            yield f"dashboard {uid}: no panel shows the cause of {name}"
        elif name in alerts.alerts and name not in _NEVER_WATCHED:
            looks_at = metrics([alerts.alerts[name].expression()])
            if not looks_at & _shown(own):
                yield f"dashboard {uid}: {own[0].title}: it shows none of what {name} looks at"
            for missing in sorted(looks_at - _shown(panels)):
                yield f"dashboard {uid}: nothing on it shows {missing}, which {name} looks at"


def _of_records(dashboards: list[Dashboard], levels: Slos) -> Iterator[str]:
    recorded = {
        rule.get("record")
        for file in rule_files(levels).values()
        for group in yaml.safe_load(file)["groups"]
        for rule in group["rules"]
    }
    for each in dashboards:
        for panel in each.panels:
            asked = metrics(query.expr for query in panel.queries)
            for name in sorted(name for name in asked if name.startswith("slo:") and name not in recorded):
                yield f"dashboard {each.uid}: {panel.title}: no rule records {name}"


def _shown(panels: Iterable[Panel]) -> set[str]:
    return metrics(query.expr for panel in panels for query in panel.queries)


def _bare(metric: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", metric)
