"""A dashboard in Grafana's words: the JSON that it imports and provisions."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from dev.environment import repository_url
from dev.ops.dashboards.model import OWN, Dashboard, Line, Panel, Query, Row

Json = dict[str, Any]
# What Grafana 12 writes; older and newer ones migrate it when they load it.
SCHEMA_VERSION = 41
_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_SCRAPE = "30s"
"""The least step: with it `$__rate_interval` is at least two minutes, which holds two scrapes a minute apart."""
_COLOURS = {"page": "red", "ticket": "orange", "promise": "red"}
_HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8, "text": 9}
_PAGE_WIDTH = 24


def document(dashboard: Dashboard, others: list[Dashboard]) -> Json:
    """Return all of it; `others` are those that it leads to."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["generated"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,  # one cross-hair in all panels: what happened at the same time
        "time": {"from": dashboard.since, "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": _annotations()},
        "links": [
            {
                "type": "link",
                "title": other.title,
                "url": f"/d/{other.uid}",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "asDropdown": False,
                "icon": "dashboard",
                "tags": [],
                "tooltip": other.about,
            }
            for other in others
            if other.uid != dashboard.uid
        ],
        "panels": [*_panels(dashboard)],
    }


def _variables() -> list[Json]:
    return [
        {
            "name": "datasource",
            "label": "Metrics",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": "Metrics", "value": "metrics"},  # ops/grafana/datasources.*.yaml
            "refresh": 1,
        },
        {
            "name": "service",
            "label": "Service",
            "type": "query",
            "datasource": _SOURCE,
            "definition": "label_values(up, service)",
            "query": {"qryType": 1, "query": "label_values(up, service)", "refId": "service"},
            "refresh": 2,  # with each change of the time range
            "sort": 1,
        },
    ]


def deployments() -> Query:
    """Return what there is for as long as a version is new."""
    running = f"build_info{{{OWN}}}"
    return Query(
        expr=f"group by (job, version) ({running}) unless group by (job, version) ({running} offset 2m)",
        legend="{{job}} {{version}}",
        may_be_empty="nothing was deployed",
    )


def firing() -> Query:
    """Return what there is while an alert fires."""
    return Query(
        expr=f'count by (alertname, severity) (ALERTS{{{OWN}, alertstate="firing"}})',
        legend="{{alertname}}",
        may_be_empty="nothing is wrong",
    )


def _annotations() -> list[Json]:
    def annotation(name: str, colour: str, query: Query, tags: str) -> Json:
        return {
            "name": name,
            "datasource": _SOURCE,
            "enable": True,
            "hide": False,
            "iconColor": colour,
            "expr": query.expr,
            "step": "60s",
            "titleFormat": name,
            "textFormat": query.legend,
            "tagKeys": tags,
            "useValueForTime": False,
        }

    return [
        annotation("Deployments", "blue", deployments(), "version"),
        annotation("Alerts", "red", firing(), "severity"),
    ]


def _panels(dashboard: Dashboard) -> Iterator[Json]:
    ids = count(1)
    top = 0
    for row in dashboard.rows:
        place = {"h": 1, "w": _PAGE_WIDTH, "x": 0, "y": top}
        yield {"id": next(ids), "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        top += 1
        for line in _lines(row):
            left, height = 0, max(_HEIGHTS[panel.kind] for panel in line)
            for panel in line:
                place = {"h": height, "w": panel.width, "x": left, "y": top}
                yield {"id": next(ids), **_panel(panel), "gridPos": place}
                left += panel.width
            top += height


def _lines(row: Row) -> Iterator[list[Panel]]:
    """Yield the panels of a row that have room beside each other."""
    line: list[Panel] = []
    for panel in row.panels:
        if sum(each.width for each in line) + panel.width > _PAGE_WIDTH:
            yield line
            line = []
        line.append(panel)
    yield line


def _panel(panel: Panel) -> Json:
    made: Json = {"type": panel.kind, "title": panel.title, "description": panel.answers}
    if panel.kind == "text":
        return {**made, "options": {"mode": "markdown", "content": panel.text}, "transparent": True}
    return {
        **made,
        "datasource": _SOURCE,
        "targets": [_target(index, query, panel) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        **({"transformations": _columns(panel)} if panel.kind == "table" else {}),
        "links": [
            {"title": f"Runbook: {alert}", "url": runbook_url(alert), "targetBlank": True} for alert in panel.alerts
        ],
    }


def runbook_url(alert: str) -> str:
    """Return where the runbook of an alert can be read."""
    return f"{repository_url()}/blob/main/docs/runbooks/{alert}.md"


def _target(index: int, query: Query, panel: Panel) -> Json:
    now = panel.kind != "timeseries"  # over a range, the last value of a series that has ended would be shown as well
    return {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": not now,
        "instant": now,
        "format": "table" if panel.kind == "table" else "time_series",
        "exemplar": query.exemplars,
        "interval": _SCRAPE,
    }


def _defaults(panel: Panel) -> Json:
    reasons = sorted({query.may_be_empty for query in panel.queries if query.may_be_empty})
    graph = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 5,
        "showPoints": "never",
        "spanNulls": False,  # a gap is a gap
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.lines else "off"},
        **_room(panel),
    }
    return {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        **({"noValue": reasons[0]} if reasons and len(reasons) == len(panel.queries) else {}),
        **({"custom": graph, **_least(panel)} if panel.kind == "timeseries" else {}),
        **({"mappings": _YES_NO} if panel.unit == "bool_yes_no" else {}),
    }


def _least(panel: Panel) -> Json:
    return {} if panel.bad_below else {"min": 0}  # what is left of a budget can be less than nothing


def _room(panel: Panel) -> Json:
    """Return what makes every line visible, also while all is far away from it: how far is what one wants to know."""
    at = [line.at for line in panel.lines]
    return {"axisSoftMin" if panel.bad_below else "axisSoftMax": min(at) if panel.bad_below else max(at)} if at else {}


_YES_NO = [
    {
        "type": "value",
        "options": {
            "0": {"text": "no", "color": "red", "index": 0},
            "1": {"text": "yes", "color": "green", "index": 1},
        },
    }
]


def _steps(panel: Panel) -> list[Json]:
    """Return from where on which colour counts; the first one has no beginning."""
    lines = sorted(panel.lines, key=lambda line: line.at)
    if not panel.bad_below or panel.kind == "timeseries":  # a line has the colour of what begins there
        return [_step(None, "green"), *(_step(line.at, _colour(line)) for line in lines)]
    over = [*map(_colour, lines[1:]), "green"]
    under = _colour(lines[0]) if lines else "green"
    return [_step(None, under), *(_step(line.at, colour) for line, colour in zip(lines, over, strict=False))]


def _step(at: float | None, colour: str) -> Json:
    return {"value": at, "color": colour}


def _colour(line: Line) -> str:
    return _COLOURS[line.severity]


def _options(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background" if panel.lines or panel.unit == "bool_yes_no" else "none",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value_and_name",
            "wideLayout": True,
        }
    return {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": panel.queries[0].legend, "desc": True}]}


def _overrides(panel: Panel) -> list[Json]:
    """Return what sets some series apart: one that says how many there should be is dashed."""
    wanted = {"matcher": {"id": "byName", "options": "wanted"}}
    dashes = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}}
    has = any(query.legend == "wanted" for query in panel.queries)
    return [{**wanted, "properties": [dashes]}] if has else []


def _columns(panel: Panel) -> list[Json]:
    (query,) = panel.queries
    names = {"excludeByName": {"Time": True}, "renameByName": {"Value": query.legend}, "indexByName": {}}
    return [{"id": "organize", "options": names}]
