"""What schemas accept and a cluster refuses is told."""

import re
from collections.abc import Mapping, Sequence

import pytest

from dev.delivery.check_manifests import by_rules
from dev.delivery.kustomize import Object
from tests.support.manifest_mistakes import CONTAINER, GONE, Mistake, with_mistake

JOB = "spec.jobTemplate.spec.template.spec"
MISTAKES = {
    "word that it does not know": Mistake(
        "Ingress/http", "spec.rules.0.http.paths.0.pathType", "prefix", "pathType cannot be prefix"
    ),
    "word in a list": Mistake("NetworkPolicy/to-dns", "spec.policyTypes", ["egress"], "policyTypes cannot be egress"),
    "job beside itself": Mistake("CronJob/retention", "spec.concurrencyPolicy", "Allow", "Policy cannot be Allow"),
    "job beside itself by default": Mistake(
        "CronJob/retention", "spec.concurrencyPolicy", GONE, "may run beside itself"
    ),
    "job that hangs": Mistake(
        "CronJob/retention",
        "spec.jobTemplate.spec.activeDeadlineSeconds",
        GONE,
        "keeps all later ones from their start",
    ),
    "roll-out without a move": Mistake("Deployment/http", "spec.strategy.rollingUpdate.maxSurge", "0%", "neither add"),
    "canary without a move": Mistake(
        "Rollout/http", "spec.strategy.canary.maxSurge", 0, "Rollout/http: it may neither"
    ),
    "recreated and rolled out": Mistake(
        "Deployment/probe", "spec.strategy.rollingUpdate", {"maxSurge": 1}, "what is recreated is not rolled out"
    ),
    "unit that nobody knows": Mistake(
        "Deployment/http", f"{CONTAINER}.resources.limits.memory", "384MB", "384MB is no quantity"
    ),
    "no such volume": Mistake("Deployment/http", f"{CONTAINER}.volumeMounts.0.name", "tpm", "has no volume called tpm"),
    "request above the limit": Mistake(
        "Deployment/http", f"{CONTAINER}.resources.requests.memory", "1Gi", "more memory than its limit, 384Mi"
    ),
    "limit above what a container may have": Mistake(
        "CronJob/retention",
        f"{JOB}.containers.0.resources.limits.memory",
        "4Gi",
        "is 4Gi, and the namespace allows 2Gi",
    ),
    "job that never ends": Mistake("Job/migrate", "spec.template.spec.restartPolicy", GONE, "cannot be Always"),
    "process that ends": Mistake("Deployment/http", "spec.template.spec.restartPolicy", "Never", "cannot be Never"),
    "hour 25": Mistake("CronJob/partitions", "spec.schedule", "17 25 * * *", r"17 25 \* \* \* is no schedule"),
    "four fields": Mistake("CronJob/partitions", "spec.schedule", "17 2 * *", "is no schedule"),
    "more pods than the most": Mistake(
        "HorizontalPodAutoscaler/http", "spec.minReplicas", 13, "wants 13 pods, and no more than 12"
    ),
    "budget that keeps all": Mistake("PodDisruptionBudget/http", "spec.maxUnavailable", 0, "no node can be emptied"),
    "budget that keeps as many as there are": Mistake(
        "PodDisruptionBudget/worker", "spec.minAvailable", 2, "it lets no pod of Deployment/worker go"
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_a_cluster_would_refuse_is_told(rendered: Mapping[str, Sequence[Object]], name: str) -> None:
    """With the object that it is in."""
    objects, _ = with_mistake(rendered[MISTAKES[name].variant], MISTAKES[name])

    told = by_rules(objects)

    assert any(re.search(MISTAKES[name].told, said) for said in told), told


@pytest.mark.parametrize("schedule", ["17 2 * * *", "*/15 * * * *", "0 2 1,15 * MON-FRI", "@daily"])
def test_a_schedule_is_accepted(rendered: Mapping[str, Sequence[Object]], schedule: str) -> None:
    """As cron has them."""
    mistake = Mistake("CronJob/partitions", "spec.timeZone", "Etc/GMT", "")
    objects, found = with_mistake(rendered["production"], mistake)
    found["spec"]["schedule"] = schedule

    assert by_rules(objects) == []
