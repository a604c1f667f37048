"""What others read of the service levels says the same as ops/slo.yaml, and asks for what is exposed."""

import json
from typing import Any

import pytest
import yaml

from dev.ops import slos
from dev.ops.generated import FOLDER
from dev.ops.selectors import declare_all, mistakes

LEVELS = slos.read()
REQUESTS = {name: slo for name, slo in LEVELS.slos.items() if "http_route" in slo.events.where}


@pytest.mark.parametrize("name", LEVELS.slos)
def test_open_slo_says_what_the_source_says(name: str) -> None:
    """Target, window, promise; and its two queries count what there is."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / "openslo" / f"{name}.yaml").read_text())
    spec, slo = document["spec"], LEVELS.slos[name]
    ratio = spec["indicator"]["spec"]["ratioMetric"]

    assert (document["apiVersion"], document["kind"], document["metadata"]["name"]) == ("openslo/v1", "SLO", name)
    assert spec["objectives"][0]["target"] == pytest.approx(slo.objective / 100)
    assert spec["timeWindow"] == [{"duration": "30d", "isRolling": True}]
    assert (spec["budgetingMethod"], spec["description"]) == ("Occurrences", slo.promise)
    declare_all()
    for part in ("bad", "total"):
        assert [*mistakes(ratio[part]["metricSource"]["spec"]["query"])] == []


def test_the_operator_gets_every_rule() -> None:
    """As they are in the files for Prometheus itself."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / "kubernetes" / "prometheus-rule.yaml").read_text())
    files = sorted((FOLDER / "prometheus").glob("*.rules.yaml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]

    def by_name(group: dict[str, Any]) -> str:
        return str(group["name"])

    assert (document["apiVersion"], document["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert sorted(document["spec"]["groups"], key=by_name) == sorted(groups, key=by_name)


def test_a_load_test_holds_endpoints_to_the_promise() -> None:
    """Share and limit of each level that is about a request."""
    thresholds: dict[str, Any] = json.loads((FOLDER / "load" / "thresholds.json").read_text())

    assert thresholds.keys() == REQUESTS.keys()
    for name, slo in REQUESTS.items():
        assert thresholds[name]["good_percent_at_least"] == slo.objective
        assert thresholds[name].get("within_seconds") == slo.within_seconds
        assert (
            thresholds[name]["request"] == f"{slo.events.where['http_request_method']} {slo.events.where['http_route']}"
        )
