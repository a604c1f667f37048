"""Dashboards in front of the real service: each panel shows something while all is well."""

import asyncio
import math
import re
import sys
import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.monitoring import Prometheus
from dev.ops import alerts, slos
from dev.ops.dashboards.catalogue import dashboards
from dev.ops.dashboards.model import Dashboard, Query, filled
from tests.support.eventually import eventually
from tests.support.programs import run
from tests.support.watched_service import SERVICE, Watched

_LEVELS = slos.read()
DASHBOARDS = dashboards(alerts.read(_LEVELS), _LEVELS)
DASHBOARD = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.uid)
_SECONDS = 90


@DASHBOARD
async def test_every_panel_has_data(live: Watched, dashboard: Dashboard) -> None:
    """Each of its queries is answered with numbers, and with the labels that the legend shows."""
    asked = {f"{panel.title}: {query.legend}": query for panel in dashboard.panels for query in panel.queries}
    due = {name: query for name, query in asked.items() if not query.may_be_empty}

    assert await without_data(live.prometheus, due) == []


@DASHBOARD
def test_what_may_be_empty_is_a_question_all_the_same(live: Watched, dashboard: Dashboard) -> None:
    """Prometheus takes it, whether there is anything to show or not."""
    perhaps = [query for panel in dashboard.panels for query in panel.queries if query.may_be_empty]

    assert [query.expr for query in perhaps if ask(live.prometheus, query) is None] == []


async def test_a_picture_shows_every_panel(live: Watched, tmp_path: Path) -> None:
    """Drawn from the files that Grafana gets: with all titles, and no panel is empty without a reason."""
    look = ("--prometheus", live.prometheus.url, "--service", SERVICE, "--minutes", "1", "--rate-interval", "10s")

    async def drawn() -> dict[str, str] | None:
        code, said = await run(Path(sys.executable), "-m", "dev.ops.dashboards.picture", *look, str(tmp_path))
        assert code == 0, said
        pictures = pictures_in(tmp_path)
        return None if ">No data<" in "".join(pictures.values()) else pictures

    pictures = await eventually(drawn, within_seconds=_SECONDS)

    assert {each.uid for each in DASHBOARDS} == pictures.keys()
    titles = [(each.uid, panel.title) for each in DASHBOARDS for panel in each.panels]
    assert [(uid, title) for uid, title in titles if f">{escape(title)}<" not in pictures[uid]] == []


async def test_latency_leads_to_traces(live: Watched) -> None:
    """Whatever panel promises exemplars has some, each with the id of a trace."""
    promised = [query for each in DASHBOARDS for panel in each.panels for query in panel.queries if query.exemplars]

    def found() -> list[Any]:
        return [exemplar for query in promised for exemplar in exemplars(live.prometheus, query)]

    shown = await eventually(found, within_seconds=_SECONDS)

    assert len(promised) == 1
    assert all(re.fullmatch(r"[0-9a-f]{32}", exemplar["labels"]["trace_id"]) for exemplar in shown)


def pictures_in(folder: Path) -> dict[str, str]:
    """Return what has been drawn, by dashboard."""
    return {path.stem: path.read_text() for path in folder.glob("*.svg")}


async def without_data(prometheus: Prometheus, due: Mapping[str, Query]) -> list[str]:
    """Return what shows nothing when time is up."""
    left, end = dict(due), time.monotonic() + _SECONDS
    while left and time.monotonic() < end:
        await asyncio.sleep(0.2)  # between two looks
        left = {name: query for name, query in left.items() if not shows_something(prometheus, query)}
    return [*left]


def shows_something(prometheus: Prometheus, query: Query) -> bool:
    """Tell whether there is a number, and something for each label of the legend."""
    rows = ask(prometheus, query)
    labels = {label for row in rows for label, value in row.labels.items() if value}
    return any(not math.isnan(row.value) for row in rows) and set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels


def ask(prometheus: Prometheus, query: Query) -> Any:  # noqa: ANN401 - rows
    """Return the answer to a panel's query now."""
    return prometheus.query(filled(query.expr, service=SERVICE, rate_interval="10s"))


def exemplars(prometheus: Prometheus, query: Query) -> list[Any]:
    """Return the exemplars that Grafana would draw."""
    asked = {"query": filled(query.expr, service=SERVICE, rate_interval="10s"), "start": "0", "end": "9999999999"}
    answer = httpx.get(f"{prometheus.url}/api/v1/query_exemplars", params=asked, timeout=10).raise_for_status()
    return [exemplar for series in answer.json()["data"] for exemplar in series["exemplars"]]
