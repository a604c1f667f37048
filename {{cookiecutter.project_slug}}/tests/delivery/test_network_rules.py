"""A flow that is needed and not let through is told, and so is one that is let through and not needed."""

import re
from collections.abc import Mapping, Sequence

import pytest

from dev.delivery.check_manifests import by_rules
from dev.delivery.kustomize import Object
from tests.support.manifest_mistakes import GONE, HTTP, Mistake, with_mistake

MISTAKES = {
    "policy that selects nothing": Mistake(
        "NetworkPolicy/to-broker",
        f"spec.podSelector.matchLabels.{HTTP}",
        "wroker",
        "to-broker: its selector matches no",
    ),
    "policy that does not say for whom": Mistake(
        "NetworkPolicy/to-broker", "spec.podSelector", GONE, "to-broker: its selector matches nothing"
    ),
    "policy for another port": Mistake(
        "NetworkPolicy/from-ingress", "spec.ingress.0.ports.0.port", 80, "Deployment/http does not listen on 80"
    ),
    "not let out to the database": Mistake(
        "NetworkPolicy/to-database",
        "spec.podSelector.matchExpressions.0.values",
        ["http"],
        "Deployment/worker: no NetworkPolicy lets it out to 5432",
    ),
    "let out to what it does not need": Mistake(
        "NetworkPolicy/to-broker", "spec.podSelector", {}, "Deployment/http: it is let out to 4222, and needs nothing"
    ),
    "let out to everywhere": Mistake(
        "NetworkPolicy/to-database", "spec.egress.0.to", GONE, "to-database: its egress is not bounded by `to`"
    ),
    "let out to the machine's metadata": Mistake(
        "NetworkPolicy/to-internet",
        "spec.egress.0.to.0.ipBlock.except",
        GONE,
        "lets out to the metadata of the machine",
    ),
    "no such addresses": Mistake(
        "NetworkPolicy/to-database",
        "spec.egress.0.to.0.ipBlock.cidr",
        "10.0.0.0/33",
        "10.0.0.0/33' does not appear to be",
    ),
    "direction that counts for nothing": Mistake(
        "NetworkPolicy/to-dns", "spec.policyTypes", ["Ingress"], "to-dns: its egress counts for nothing"
    ),
    "let in by every port": Mistake(
        "NetworkPolicy/from-ingress", "spec.ingress.0.ports", GONE, "its ingress is not bounded by `ports`"
    ),
    "nobody let in": Mistake(
        "NetworkPolicy/from-prometheus",
        "spec.podSelector.matchExpressions.0.values",
        ["http"],
        "lets anybody in on 8004",
    ),
    "past the WAF": Mistake(
        "Ingress/http", "spec.rules.0.http.paths.1.backend.service.name", "http", "lets it in to Deployment/http", "waf"
    ),
    "all let out": Mistake("NetworkPolicy/default-deny", "spec.policyTypes", ["Ingress"], "no NetworkPolicy denies"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_flow_that_is_not_as_it_should_be_is_told(rendered: Mapping[str, Sequence[Object]], name: str) -> None:
    """With the policy, or the process that suffers from it."""
    objects, _ = with_mistake(rendered[MISTAKES[name].variant], MISTAKES[name])

    told = by_rules(objects)

    assert any(re.search(MISTAKES[name].told, said) for said in told), told
