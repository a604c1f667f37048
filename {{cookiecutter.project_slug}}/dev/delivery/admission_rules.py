"""What schemas accept and a cluster does not: it refuses the object, or makes no pod of it, or can never end one."""

import math
import re
from collections.abc import Callable, Iterator

from dev.delivery import schemas
from dev.delivery.kustomize import Object
from dev.delivery.manifest_rules import leaves, most_replicas, quantity
from dev.delivery.manifests import Manifests, name_of

Rule = Callable[[Manifests], Iterator[str]]
_ONE_OF = {
    "concurrencyPolicy": {"Forbid", "Replace"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "pathType": {"Exact", "Prefix", "ImplementationSpecific"},
    "policyTypes": {"Ingress", "Egress"},
    "protocol": {"TCP", "UDP", "SCTP"},
    "unhealthyPodEvictionPolicy": {"AlwaysAllow", "IfHealthyBudget"},
    "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
}
"""By field: the words that it may have. `Allow` is left out: no job here may run beside itself."""
_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""The least and the most of each field of a schedule."""


def _words(manifests: Manifests) -> Iterator[str]:
    for found in manifests.objects:
        if not schemas.is_custom(found):
            for key, value in leaves(found):
                if value not in _ONE_OF.get(key, {value}):
                    yield f"{name_of(found)}: {key} cannot be {value}"


def _mounts(manifests: Manifests) -> Iterator[str]:
    for process in manifests.processes:
        volumes = {each["name"] for each in process.pod.get("volumes", ())}
        for name in sorted({each["name"] for each in process.container.get("volumeMounts", ())} - volumes):
            yield f"{process.where}: it has no volume called {name}"


def _resources(manifests: Manifests) -> Iterator[str]:
    """Nothing asks for more than it may use, or may use more than the namespace allows a container."""
    bounds = [
        each["max"] for found in manifests.of("LimitRange") for each in found["spec"]["limits"] if each.get("max")
    ]
    for process in manifests.processes:
        resources = process.container.get("resources", {})
        for written in (value for side in resources.values() for value in side.values()):
            if math.isnan(quantity(written)):
                yield f"{process.where}: {written} is no quantity"
        for name, limit in resources.get("limits", {}).items():
            if quantity(resources.get("requests", {}).get(name, 0)) > quantity(limit):
                yield f"{process.where}: it asks for more {name} than its limit, {limit}"
            for most in (each[name] for each in bounds if name in each):
                if quantity(limit) > quantity(most):
                    yield f"{process.where}: its limit of {name} is {limit}, and the namespace allows {most}"


def _restarts(manifests: Manifests) -> Iterator[str]:
    for process in manifests.processes:
        is_job = process.where.startswith(("Job/", "CronJob/"))
        policy = process.pod.get("restartPolicy", "Always")
        if policy not in (("Never", "OnFailure") if is_job else ("Always",)):
            yield f"{process.where}: its restartPolicy cannot be {policy}"


def _schedules(manifests: Manifests) -> Iterator[str]:
    for found in manifests.of("CronJob"):
        if "concurrencyPolicy" not in found["spec"]:
            yield f"{name_of(found)}: it may run beside itself"
        if "activeDeadlineSeconds" not in found["spec"]["jobTemplate"]["spec"]:
            yield f"{name_of(found)}: one that hangs keeps all later ones from their start"
        schedule = found["spec"]["schedule"]
        fields = schedule.split()
        if schedule[:1] != "@" and (len(fields) != len(_CRON) or not all(map(_is_time, fields, _CRON))):
            yield f"{name_of(found)}: {schedule} is no schedule"


def _is_time(field: str, bounds: tuple[int, int]) -> bool:
    least, most = bounds
    if not re.fullmatch(r"(\*|\w+(-\w+)?)(/[1-9]\d*)?(,(\*|\w+(-\w+)?)(/[1-9]\d*)?)*", field):
        return False
    return all(least <= int(number) <= most for number in re.findall(r"(?<![/\d])\d+", field))


def _roll_outs(manifests: Manifests) -> Iterator[str]:
    for found in manifests.of("Deployment", "Rollout"):
        strategy = found["spec"].get("strategy", {})
        how = strategy.get("rollingUpdate", {}) if found["kind"] == "Deployment" else strategy.get("canary", {})
        if [str(how.get(each)).rstrip("%") for each in ("maxSurge", "maxUnavailable")] == ["0", "0"]:
            yield f"{name_of(found)}: it may neither add a pod nor take one away"
        if strategy.get("type") == "Recreate" and how:
            yield f"{name_of(found)}: what is recreated is not rolled out"


def _scalers(manifests: Manifests) -> Iterator[str]:
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        least, most = scaler["spec"].get("minReplicas", 1), scaler["spec"]["maxReplicas"]
        if least > most:
            yield f"{name_of(scaler)}: it wants {least} pods, and no more than {most}"


def _budgets(manifests: Manifests) -> Iterator[str]:
    """A node can be emptied: each budget lets at least one pod go."""
    for budget in manifests.of("PodDisruptionBudget"):
        for process in manifests.selected(budget["spec"].get("selector")):
            if not _may_go(budget["spec"], most_replicas(manifests, process.where.partition("/")[2])):
                yield f"{name_of(budget)}: it lets no pod of {process.where} go, so no node can be emptied"


def _may_go(spec: Object, pods: int) -> bool:
    if "minAvailable" in spec:
        kept = str(spec["minAvailable"])
        return kept != "100%" if kept.endswith("%") else int(kept) < pods
    return str(spec.get("maxUnavailable", 0)) not in ("0", "0%")


RULES: tuple[Rule, ...] = (_words, _roll_outs, _mounts, _resources, _restarts, _schedules, _scalers, _budgets)
