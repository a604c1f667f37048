"""Every variant of the manifests is what Kubernetes, its extensions, policies and the code accept."""

import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.delivery import policy
from dev.delivery.check_manifests import by_custom_schemas, by_policies, by_rules, by_schemas, check, distinct
from dev.delivery.kustomize import CannotRender, Object, Variant, render
from dev.delivery.manifests import name_of
from dev.ops.lines import BadSource
from tests.support.needing_tools import WithTools


def test_the_rules_of_this_house_are_kept(rendered: Mapping[str, Sequence[Object]]) -> None:
    """In every variant, and each of them has the processes."""
    assert {name: by_rules(objects) for name, objects in rendered.items()} == {name: [] for name in rendered}
    for objects in rendered.values():
        assert {"Deployment/http", "Deployment/worker", "Deployment/probe", "Job/migrate"} <= {*map(name_of, objects)}


@pytest.mark.parametrize("schemas", [by_schemas, by_custom_schemas])
def test_schemas_find_nothing(
    rendered: Mapping[str, Sequence[Object]],
    with_tools: WithTools,
    schemas: Callable[[Sequence[Object]], Mapping[int, Sequence[str]]],
) -> None:
    """Strictly, and they have looked at objects."""
    told = with_tools(partial(schemas, distinct(rendered)))

    assert {at: said for at, said in told.items() if said} == {}
    assert len(told) >= 9


def test_policies_find_nothing_but_exceptions(rendered: Mapping[str, Sequence[Object]], with_tools: WithTools) -> None:
    """Each exception hides something, and none is over."""
    assert with_tools(partial(by_policies, distinct(rendered))) == ({}, [])


def test_the_gate_tells_what_each_of_them_finds(
    rendered: Mapping[str, Sequence[Object]], with_tools: WithTools
) -> None:
    """Rules, schemas of both kinds, and policies, each with the object."""
    objects = copy.deepcopy([*rendered["production"]])
    found = {name_of(each): each for each in objects}
    found["Deployment/http"]["spec"]["template"]["spec"]["hostPID"] = True
    found["Deployment/worker"]["spec"]["replica"] = 2
    found["Rollout/http"]["spec"]["replica"] = 2
    found["Service/http"]["spec"]["selector"] = {"app": "web"}
    del found["CronJob/retention"]["spec"]["schedule"]  # which a rule would look for
    few = [found[name] for name in ("Deployment/http", "Deployment/worker", "Rollout/http", "CronJob/retention")]

    told = with_tools(partial(check, {"production": few, "staging": [found["Service/http"]]}))

    assert "staging: Service/http: its selector matches nothing" in told
    assert any("'schedule' is a required property" in said for said in told)
    assert "Rollout/http: /spec/replica is no field" in told
    for where, what in (("Deployment/http", "KSV-0010"), ("Deployment/worker", "'replica' was unexpected")):
        assert any(said.startswith(f"{where}: ") and what in said for said in told)


def test_a_file_that_trivy_passes_over_is_no_success(tmp_path: Path, with_tools: WithTools) -> None:
    """It says nothing of what it cannot read, and ends with 0."""
    files = {
        tmp_path / "0.yaml": "kind: [",
        tmp_path / "1.yaml": "{apiVersion: v1, kind: Service, metadata: {name: a}}",
    }
    for path, text in files.items():
        path.write_text(text)

    with pytest.raises(policy.ScanFailed, match=r"did not look at 0\.yaml"):
        with_tools(partial(policy.scan, {path: {} for path in files}, tmp_path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, [], id="one that is needed"),
        pytest.param({"objects": ("Deployment/worker",)}, ["KSV-0020: this exception hides nothing"], id="elsewhere"),
        pytest.param({"until": date(2026, 1, 31)}, ["KSV-0020: this exception was until 2026-01-31"], id="over"),
        pytest.param({"until": date(2026, 2, 1)}, [], id="the last day"),
    ],
)
def test_an_exception_is_for_what_it_names(changes: dict[str, Any], told: list[str]) -> None:
    """One that hides nothing is told, and so is one whose day is past."""
    exemption = policy.Exemption(id="KSV-0020", objects=("Deployment/waf",), because="It is so.").model_copy(
        update=changes
    )
    path, found = Path("0.yaml"), {"kind": "Deployment", "metadata": {"name": "waf"}}

    left, wrong = policy.without_exceptions(
        {path: [("KSV-0020", "low user")]}, {path: found}, [exemption], date(2026, 2, 1)
    )

    assert wrong == told
    assert left == ({path: ["KSV-0020: low user"]} if changes.get("objects") else {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("- {id: KSV-0001, objects: ['*']}", "exceptions.0.because: Field required", id="no reason"),
        pytest.param("- {id: all, objects: ['*'], because: It is.}", "String should match", id="no number"),
        pytest.param("- {id: KSV-0001, objects: [], because: It is.}", "at least 1 item", id="of nothing"),
    ],
)
def test_an_exception_has_a_reason(tmp_path: Path, text: str, told: str) -> None:
    """A mistake in the list is told with its line."""
    (tmp_path / "exceptions.yaml").write_text(f"exceptions:\n  {text}\n")

    with pytest.raises(BadSource, match=rf"exceptions\.yaml:2: .*{told}"):
        policy.read(tmp_path / "exceptions.yaml")


def test_a_variant_that_is_broken_says_why(tmp_path: Path, with_tools: WithTools) -> None:
    """In kustomize's own words."""
    (tmp_path / "overlays" / "dev").mkdir(parents=True)
    (tmp_path / "overlays" / "dev" / "kustomization.yaml").write_text("resources: [nothing.yaml]\n")

    with pytest.raises(CannotRender, match=r"nothing\.yaml"):
        with_tools(partial(render, Variant("dev"), tmp_path))
