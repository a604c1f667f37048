"""Metrics: made in one way, named by rule, bounded, and all of them on docs/metrics.md."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import app.cli
import app.probe  # noqa: F401 - all processes, and with them every module that makes a metric
from app.kit.instruments import DECLARED, Declaration
from tests.support.metrics_page import rows, series_of_the_probe, series_per_process
from tests.support.source import APP, called_name, calls, modules, name_of, parsed

SOURCES = modules("src")
FACTORIES = {"counter", "gauge", "histogram", "declare"}
MAKES_METRICS = {
    "src/app/kit/instruments.py": {"Counter", "Gauge"},
    "src/app/kit/histogram.py": {"HistogramMetricFamily"},
    "src/app/patterns/structured_logging/volume.py": {"CounterMetricFamily"},  # on every line; bounded by itself
    "src/app/patterns/metrics.py": {"Info"},  # one series that is replaced as a whole
}
NAMES_SOMEBODY = r"(^|_)(id|tenant|user|customer|actor|email|token|path|url|query|address_?line)(_|$)"
FROM_THE_CLIENT_LIBRARY = 60  # series of prometheus_client itself: process, garbage collector, interpreter
METRIC = pytest.mark.parametrize("name", DECLARED)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_metrics_are_made_by_the_guarded_factories(path: Path) -> None:
    """`kit/instruments.py` bounds what it makes; what is made past it is named above."""
    imported = {
        alias.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for alias in node.names
    }
    whole = {
        alias.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.startswith("prometheus_client")
    }
    makers = {name for name in imported if re.fullmatch(r"Counter|Gauge|Histogram|Summary|Info|Enum|\w+Family", name)}

    assert makers == MAKES_METRICS.get(name_of(path), set())
    assert whole == set()


def test_a_metric_has_one_definition() -> None:
    """Each name is spelled once in all the code, as a literal, where it is made."""
    spelled = Counter(
        node.value
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in DECLARED
    )
    made = {
        ast.literal_eval(call.args[0])
        for path in SOURCES
        for call in calls(path)
        if called_name(call) in FACTORIES and call.args and isinstance(call.args[0], ast.Constant)
    }

    assert len(DECLARED) > 20
    assert spelled == dict.fromkeys(DECLARED, 1)
    assert made == set(DECLARED)


@METRIC
def test_a_name_follows_prometheus(name: str) -> None:
    """Base units, `_total` for counters alone, a unit for distributions, and no ending of a histogram's own series."""
    kind = DECLARED[name].kind

    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", name)
    assert name.endswith("_total") == (kind == "counter")
    assert kind != "histogram" or re.search(r"_(seconds|bytes)$", name)
    assert not re.search(r"_(ms|millis|milliseconds|minutes|hours|kb|mb|percent)(_|$)", name)
    assert not re.search(r"_(count|sum|bucket|info|created)$", name)


@METRIC
def test_a_label_names_nobody(name: str) -> None:
    """No label is for what a client chooses or a person is known by."""
    assert [label for label in DECLARED[name].labels if re.search(NAMES_SOMEBODY, label)] == []
    assert [label for label in DECLARED[name].labels if not re.fullmatch(r"[a-z]+(_[a-z]+)*", label)] == []


@METRIC
def test_a_label_is_not_one_of_a_target(name: str) -> None:
    """Prometheus would rename it to `exported_job`, and every rule would have to know."""
    assert {"job", "instance", "service"}.isdisjoint(DECLARED[name].labels)


@METRIC
def test_a_metric_is_on_the_page_as_it_was_declared(name: str) -> None:
    """Kind, unit, labels with their caps, most label sets, and the file that makes it."""
    row = rows()[name]
    source = (APP / row.owner.strip("`")).read_text()

    assert (row.kind, row.labels, row.label_sets) == _expected(DECLARED[name])
    assert row.unit in _units(name)
    assert f'"{name}"' in source


def test_the_page_names_no_metric_twice_and_none_that_nobody_makes() -> None:
    """What is not declared here comes from the client library, or is one of ours that cannot grow."""
    others = {name: row.owner for name, row in rows().items() if name not in DECLARED}

    assert {name: owner for name, owner in others.items() if owner != "prometheus_client"} == {
        "build_info": "`patterns/metrics.py`",
        "metric_label_overflow_total": "`kit/instruments.py`",
    }


def test_all_metrics_together_stay_under_the_cap() -> None:
    """If every metric grew as far as it may, the process would still expose fewer series than the page allows."""
    most = sum(declaration.series for name, declaration in DECLARED.items() if not _is_the_probes(name))

    assert most + FROM_THE_CLIENT_LIBRARY <= series_per_process()


def test_the_probes_own_metrics_stay_under_their_cap() -> None:
    """They exist in its process alone."""
    most = sum(declaration.series for name, declaration in DECLARED.items() if _is_the_probes(name))

    assert 0 < most <= series_of_the_probe()


def _is_the_probes(name: str) -> bool:
    return "synthetic_journey" in rows()[name].owner


def _expected(declaration: Declaration) -> tuple[str, str, str]:
    caps = {label: most if isinstance(most, int) else len(most) for label, most in declaration.labels.items()}
    labels = ", ".join(f"`{label}` {most}" for label, most in caps.items())
    return declaration.kind, labels, str(declaration.label_sets)


def _units(name: str) -> list[str]:
    unit = [unit for unit in ("seconds", "bytes") if f"_{unit}" in name]
    return unit or [rows()[name].unit or "what is counted"]
