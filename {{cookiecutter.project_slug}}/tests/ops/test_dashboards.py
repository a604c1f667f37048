"""Dashboards as files: what they ask for exists, lines are those of the sources, and each alert leads to a cause."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dev.ops import alerts, slos
from dev.ops.alerts import Alerts
from dev.ops.dashboards import checked
from dev.ops.dashboards.catalogue import dashboards, files
from dev.ops.dashboards.model import Dashboard, Panel, Query, Row
from dev.ops.generated import FOLDER
from dev.ops.lines import BadSource
from dev.ops.slos import BurnRate

LEVELS = slos.read()
ALERTS = alerts.read(LEVELS)
UIDS = ["service", "slo", "dependencies", "events", "database", "telemetry"]
UID = pytest.mark.parametrize("uid", UIDS)
UP = 'up{service="$service"}'
# A query, its legend, and what `make ops` says of it.
WRONG_QUERIES = {
    "a metric that nobody exposes": ('outbox_age{service="$service"}', "x", "nothing exposes outbox_age"),
    "a label that was renamed": (
        'rate(http_server_request_duration_seconds_count{service="$service", route="/v1/orders"}[5m])',
        "x",
        "http_server_request_duration_seconds_count has no label route",
    ),
    "a value that does not exist": (
        'idempotency_requests_total{service="$service", outcome="repeated"}',
        "x",
        "'repeated' is none of its values: new, replayed",
    ),
    "a grouping by what is not there": (
        'sum by (table) (rate(outbox_publish_failures_total{service="$service"}[5m]))',
        "x",
        "it groups by table, which none of its metrics has",
    ),
    "what is no PromQL": ('rate(up{service="$service"}[5m]', "x", "it is no PromQL"),
    "a legend with a label that is summed away": (f"sum by (job) ({UP})", "{{instance}}", "its legend has instance"),
    "series of all services": ("sum by (job) (up)", "{{job}}", "up is not chosen by service"),
    "a variable that Grafana would leave": (f"max_over_time({UP}[$__interval])", "x", "it is no PromQL"),
    "a rule that records nothing of the name": ('slo:errors:ratio_rate7h{service="$service"}', "x", "no rule records"),
}
OK = Query(expr=UP, legend="{{job}}")


def panel(**changes: Any) -> Panel:  # noqa: ANN401 - fields
    """Return a good panel, or one with something changed."""
    return replace(Panel(title="Mine", answers="Is it up?", queries=(OK,)), **changes)


# Panels, and what is said of their dashboard.
WRONG_PANELS = {
    "two of a title": ((panel(), panel()), "Mine: there are two of that title"),
    "no question": ((panel(answers="up"),), "Mine: it does not say in a sentence what it answers"),
    "nothing to show": ((panel(queries=()),), "Mine: a panel has queries, or it is a text"),
    "a table of two queries": ((panel(kind="table", queries=(OK, OK)),), "Mine: a table has one query"),
    "an alert of another dashboard": ((panel(alerts=("WorkerDown",)),), "Mine: WorkerDown is no alert that leads here"),
    "an alert that there is not": ((panel(alerts=("Nonesuch",)),), "Mine: Nonesuch is no alert that leads here"),
    "no cause of an alert": (
        (panel(),),
        "dashboard service: no panel shows the cause of CrashLooping",
    ),
    "a panel that shows something else": (
        (panel(alerts=("CrashLooping",)),),
        "dashboard service: Mine: it shows none of what CrashLooping looks at",
    ),
    "less than an alert looks at": (
        (panel(alerts=("CrashLooping",)),),
        "dashboard service: nothing on it shows process_start_time_seconds, which CrashLooping looks at",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_QUERIES)
def test_a_query_that_nothing_answers_is_refused(wrong: str) -> None:
    """Told with its dashboard, its panel and the reason; nothing is written."""
    expr, legend, why = WRONG_QUERIES[wrong]

    told = refused(with_more(Panel(title="Mine", answers="Why?", queries=(Query(expr=expr, legend=legend),))))

    assert told.startswith("dashboard service: Mine: ")
    assert why in told


@pytest.mark.parametrize("wrong", WRONG_PANELS)
def test_a_panel_that_misleads_is_refused(wrong: str) -> None:
    """It has a title of its own, says what it answers, and what it shows is what its alerts look at."""
    panels, why = WRONG_PANELS[wrong]
    made = dashboards(ALERTS, LEVELS)

    assert why in refused([replace(made[0], rows=(Row("Rows", panels),)), *made[1:]])


def test_an_alert_without_its_dashboard_is_refused() -> None:
    """Whoever is woken up follows the link of the alert."""
    told = refused([each for each in dashboards(ALERTS, LEVELS) if each.uid != "slo"])

    assert "ErrorBudgetExhausted leads to the dashboard slo, which there is not" in told
    assert "BuyLatencyBudgetBurn leads to the dashboard slo, which there is not" in told


@UID
def test_a_file_is_what_grafana_takes(uid: str) -> None:
    """Named by its uid, with its variables; each panel says what it answers, and asks the source that was chosen."""
    file = written(uid)
    asks = [panel for panel in file["panels"] if panel["type"] not in ("row", "text")]

    assert (file["uid"], file["schemaVersion"]) == (uid, 41)
    assert [variable["name"] for variable in file["templating"]["list"]] == ["datasource", "service"]
    assert [annotation["name"] for annotation in file["annotations"]["list"]] == ["Deployments", "Alerts"]
    assert [link["url"] for link in file["links"]] == [f"/d/{other}" for other in UIDS if other != uid]
    assert {target["datasource"]["uid"] for panel in asks for target in panel["targets"]} == {"${datasource}"}
    assert all(panel["description"].endswith((".", "?")) for panel in asks)


@UID
def test_no_panel_lies_on_another(uid: str) -> None:
    """Each has its place in the 24 columns, and a number of its own."""
    panels = written(uid)["panels"]
    places = [place for panel in panels for place in squares(panel["gridPos"])]

    assert len(places) == len(set(places))
    assert {x for x, _ in places} <= set(range(24))
    assert [panel["id"] for panel in panels] == [*range(1, len(panels) + 1)]


def test_a_panel_leads_to_the_runbook() -> None:
    """Of each alert whose cause it shows."""
    (shown,) = [panel for panel in written("events")["panels"] if panel["title"].startswith("Age of the oldest event")]

    assert [link["title"] for link in shown["links"]] == ["Runbook: OutboxLagging"]
    assert shown["links"][0]["url"].endswith("/docs/runbooks/OutboxLagging.md")


def test_lines_are_the_thresholds_of_the_alerts() -> None:
    """Of an alert's values and of the burn rates: whoever changes them changes the dashboards."""
    lag = ALERTS.alerts["ReplicationLagHigh"].model_copy(update={"values": {"lag": "45s"}})
    first = LEVELS.burn_rates[0].model_copy(update={"budget_percent": 3.0})
    rates: tuple[BurnRate, ...] = (first, *LEVELS.burn_rates[1:])
    changed = files(
        Alerts(alerts={**ALERTS.alerts, "ReplicationLagHigh": lag}), LEVELS.model_copy(update={"burn_rates": rates})
    )

    assert [
        line_of("database", "Replicas' lag", files(ALERTS, LEVELS)),
        line_of("database", "Replicas' lag", changed),
    ] == [
        [30],
        [45],
    ]
    burn = "Burn rate, page by 1h"
    assert line_of("slo", burn, files(ALERTS, LEVELS)) == [14.4]
    assert line_of("slo", burn, changed) == [21.6]


def test_each_service_level_burns_by_its_own_budget() -> None:
    """What is shown is how many times too fast, whatever was promised."""
    (burn,) = [panel for panel in written("slo")["panels"] if panel["title"] == "Burn rate, ticket by 3d"]
    divisors = {target["legendFormat"]: target["expr"].rpartition("/ ")[2] for target in burn["targets"]}

    assert divisors == {name: f"{float(level.budget):.12g}" for name, level in LEVELS.slos.items()}


def test_few_panels_are_empty_while_all_is_well() -> None:
    """An empty panel is a question: is it well, or is it broken? Most show a 0 instead, and the others say why not."""
    queries = [query for each in dashboards(ALERTS, LEVELS) for panel in each.panels for query in panel.queries]

    assert len([query for query in queries if query.may_be_empty]) <= len(queries) / 9


@UID
def test_what_shows_now_does_not_show_what_was(uid: str) -> None:
    """A process, a version or an alert that has ended is not the last value of anything."""
    now = [panel for panel in written(uid)["panels"] if panel["type"] in ("stat", "table")]

    assert {(target["instant"], target["range"]) for panel in now for target in panel["targets"]} <= {(True, False)}


def with_more(more: Panel) -> Iterator[Dashboard]:
    """Yield all dashboards, the first with one more panel."""
    first, *others = dashboards(ALERTS, LEVELS)
    yield replace(first, rows=(*first.rows, Row("More", (more,))))
    yield from others


def refused(made: Any) -> str:  # noqa: ANN401 - iterable
    """Return what is said of dashboards with a mistake."""
    with pytest.raises(BadSource) as told:
        checked.check(made, ALERTS, LEVELS)
    return str(told.value)


def written(uid: str) -> dict[str, Any]:
    """Return a dashboard as Grafana gets it."""
    shown: dict[str, Any] = json.loads((FOLDER / "grafana" / f"{uid}.json").read_text())
    return shown


def squares(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Yield each unit of the grid that a panel covers."""
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def line_of(uid: str, title: str, made: Any) -> list[float]:  # noqa: ANN401 - files
    """Return the thresholds of a panel."""
    (shown,) = [panel for panel in json.loads(made[f"grafana/{uid}.json"])["panels"] if panel["title"] == title]
    return [step["value"] for step in shown["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]
