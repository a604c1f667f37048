"""The telemetry policy is the only place of its values: whatever else holds one is equal to it."""

import json
import re
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from app.patterns.structured_logging import LoggingSettings
from app.patterns.tracing import TracingSettings
from app.telemetry_policy import Environment, Policy, Stream
from dev.environment import ROOT
from dev.telemetry_policy.marks import keys, with_values
from dev.telemetry_policy.places import CLOUD_VALUES, MARKED, PAGE, outputs, read
from tests.support import metrics_page

EXAMPLE = (ROOT / ".env.example").read_text()
POLICY = read()
OUTPUTS = outputs(POLICY)
# Keys without a mark in a file: read where they are needed, written whole, or the default of a setting.
READ = ("budget.", "assumed.", "prices.", "access.")
DEFAULTS = ("sampling.traces.head_ratio.", "sampling.logs.", "cardinality.label_sets_per_metric")


def name(path: Path) -> str:
    """Return the path relative to the project."""
    return str(path.relative_to(ROOT))


def loaded(path: str) -> Any:  # noqa: ANN401 - any YAML
    """Return what stands in a YAML file."""
    return yaml.safe_load((ROOT / path).read_text())


def logging_default(setting: str) -> object:
    """Return what a process does that was told nothing."""
    return LoggingSettings().model_dump()[setting]


def leaves(value: dict[str, Any], prefix: str = "") -> set[str]:
    """Return the dotted names of everything that is not a mapping."""
    return {
        leaf
        for key, inner in value.items()
        for leaf in (leaves(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}"})
    }


@pytest.mark.parametrize("path", OUTPUTS, ids=name)
def test_a_file_holds_what_the_policy_says(path: Path) -> None:
    """Nothing was edited where it must not be: what `make telemetry-policy` would write is there already."""
    assert path.read_text() == OUTPUTS[path], f"{name(path)} differs from the policy: run `make telemetry-policy`"


@pytest.mark.parametrize(
    ("in_code", "said"),
    [
        pytest.param(lambda: TracingSettings().ratio, POLICY.sampling.traces.head_ratio.production, id="traces"),
        pytest.param(
            lambda: float(re.findall(r"^APP_TRACING__RATIO=(.+)$", EXAMPLE, re.MULTILINE)[0]),
            POLICY.sampling.traces.head_ratio.development,
            id=".env.example",
        ),
        pytest.param(lambda: logging_default("request_ratio"), POLICY.sampling.logs.request_ratio, id="requests"),
        pytest.param(lambda: logging_default("request_ratios"), POLICY.sampling.logs.hot_requests, id="hot requests"),
        pytest.param(lambda: logging_default("rate_per_second"), POLICY.sampling.logs.lines_per_second, id="lines"),
        pytest.param(lambda: logging_default("burst"), POLICY.sampling.logs.burst, id="lines at once"),
        pytest.param(lambda: logging_default("slow_request_seconds"), POLICY.sampling.slow_seconds, id="slow requests"),
        pytest.param(
            lambda: signature(import_module("app.kit.instruments").counter).parameters["limit"].default,
            POLICY.cardinality.label_sets_per_metric,
            id="label sets",
        ),
        pytest.param(metrics_page.series_per_process, POLICY.cardinality.series_per_process, id="docs/metrics.md"),
    ],
)
def test_a_default_is_what_the_policy_says(in_code: Callable[[], object], said: object) -> None:
    """A process without a setting does what the policy says of production; the example for development, of that."""
    assert in_code() == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            lambda: loaded("ops/collector/traces.yaml")["processors"]["tail_sampling"]["policies"][1]["latency"],
            {"threshold_ms": POLICY.sampling.slow_seconds * 1000},
            id="collector, slow",
        ),
        pytest.param(
            lambda: loaded("ops/collector/traces.yaml")["processors"]["tail_sampling"]["policies"][2]["probabilistic"],
            {"sampling_percentage": POLICY.sampling.traces.rest_ratio * 100},
            id="collector, rest",
        ),
        pytest.param(
            lambda: loaded("ops/storage/loki.yaml")["limits_config"]["retention_period"],
            f"{POLICY.retention_days.logs.app_warning}d",
            id="Loki, by default",
        ),
        pytest.param(
            lambda: {
                tenant: limits["retention_period"]
                for tenant, limits in loaded("ops/storage/loki-overrides.yaml")["overrides"].items()
            },
            {
                "app": f"{POLICY.retention_days.logs.app_warning}d",
                "security": f"{POLICY.retention_days.logs.security}d",
                "audit": f"{POLICY.retention_days.logs.audit}d",
            },
            id="Loki, by stream",
        ),
        pytest.param(
            lambda: loaded("ops/storage/loki-overrides.yaml")["overrides"]["app"]["retention_stream"][0]["period"],
            f"{POLICY.retention_days.logs.app_info}d",
            id="Loki, info",
        ),
        pytest.param(
            lambda: loaded("ops/storage/tempo.yaml")["overrides"]["defaults"]["compaction"]["block_retention"],
            f"{POLICY.retention_days.traces * 24}h",
            id="Tempo",
        ),
        pytest.param(
            lambda: [
                loaded("ops/storage/prometheus.yaml")[server]["flags"]["storage.tsdb.retention.time"]
                for server in ("raw", "slo")
            ],
            [f"{POLICY.retention_days.metrics}d", f"{POLICY.retention_days.slo_series}d"],
            id="Prometheus",
        ),
        pytest.param(
            lambda: loaded("ops/storage/prometheus.yaml")["raw"]["scrape_configs"][0]["sample_limit"],
            POLICY.cardinality.series_per_process,
            id="scrape limit",
        ),
    ],
)
def test_a_value_stands_where_its_reader_looks(found: Callable[[], object], said: object) -> None:
    """Read as the collector or the store reads it, a value is the policy's: also when its mark was lost."""
    assert found() == said


def test_every_value_has_a_place() -> None:
    """No key of the policy is without effect: it is marked in a file, or a default, or read where it is needed."""
    marked = {key for path in MARKED for key in keys(path.read_text())}
    all_keys = leaves(POLICY.model_dump())

    assert [key for key in all_keys - marked if not key.startswith((*READ, *DEFAULTS))] == []
    assert marked <= all_keys


def test_a_changed_policy_changes_every_marked_line() -> None:
    """The writer finds the marks: after a change of all numbers no marked line is as it was."""
    doubled = Policy.model_validate(doubled_numbers(POLICY.model_dump()))
    texts = [path.read_text() for path in MARKED]

    kept = [line for text in texts for line in set(with_values(text, doubled).splitlines()) & set(text.splitlines())]
    assert sum(len(re.findall("# policy: ", text)) for text in texts) >= 10
    assert [line for line in kept if "# policy: " in line] == []


def test_the_page_and_the_readers_give_the_same_access() -> None:
    """The table for people, Grafana's sources and the cloud's roles each say what the policy says of who reads what."""
    said = {
        (role, environment, stream)
        for role, access in POLICY.access.items()
        for environment, stream in product(access.environments, access.streams)
    }

    assert access_on_the_page() == said
    assert access_in_grafana() == said
    assert [path for path in CLOUD_VALUES if access_in_the_cloud(path) != said] == []


def doubled_numbers(value: Any) -> Any:  # noqa: ANN401 - any part of a policy
    """Return the same with every number twice as large, or half where it is a share."""
    if isinstance(value, dict):
        return {key: doubled_numbers(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return value / 2 if value <= 1 else value * 2
    return value * 2 if isinstance(value, int) else value


def access_on_the_page() -> set[tuple[str, str, str]]:
    """Return who may read what, from the table in the documentation."""
    table = PAGE.read_text().partition("<!-- policy: access -->\n")[2].partition("<!-- end -->")[0]
    head, _, *rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines() if line]
    columns = list(product(get_args(Environment), get_args(Stream)))
    assert [column.replace("`", "") for column in head[1:]] == [" ".join(column) for column in columns]
    return {
        (row[0], environment, stream)
        for row in rows
        for (environment, stream), cell in zip(columns, row[1:], strict=True)
        if cell == "yes"
    }


def access_in_grafana() -> set[tuple[str, str, str]]:
    """Return who may read what, from the data sources of each organisation."""
    found = set()
    for environment in get_args(Environment):
        path = ROOT / "ops" / "grafana" / f"datasources.{environment}.yaml"
        roles = re.findall(r"from the beginning: (.+)\.$", path.read_text(), re.MULTILINE)[0].split(", ")
        for source in yaml.safe_load(path.read_text())["datasources"]:
            if source["type"] == "loki":
                streams = source["secureJsonData"]["httpHeaderValue1"].split("|")
                found |= {(roles[source["orgId"] - 2], environment, stream) for stream in streams}
    return found


def access_in_the_cloud(path: Path) -> set[tuple[str, str, str]]:
    """Return who may read what, from the variables of the roles."""
    values = json.loads(path.read_text())["log_access"]
    return {(role, *pair) for role, may in values.items() for pair in product(may["environments"], may["streams"])}
