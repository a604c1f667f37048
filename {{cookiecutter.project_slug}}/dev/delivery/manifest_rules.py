"""What no schema knows of the manifests: whether they agree with each other.

`network_rules.py` has who may speak to whom, `process_rules.py` the code's side, `admission_rules.py` the cluster's.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from dev.delivery.kustomize import Object
from dev.delivery.manifests import Manifests, Process, name_of
from dev.environment import project_name

Rule = Callable[[Manifests], Iterator[str]]
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_PUBLIC = {"/v1", "/readyz"}
"""What strangers may ask for; /metrics is on the same port."""
_NAMED_IN_A_STRATEGY = {"templateName": "AnalysisTemplate", "activeService": "Service", "previewService": "Service"}


def _images(manifests: Manifests) -> Iterator[str]:
    for process in manifests.processes:
        image = process.image
        if not image.digest and image.tag in ("", "latest"):
            yield f"{process.where}: {image.name} has neither a tag nor a digest that stays the same"
        if process.is_ours and image.name.rpartition("/")[2] != project_name():
            yield f"{process.where}: its image is called {image.name}, and not {project_name()}"


def _selectors(manifests: Manifests) -> Iterator[str]:
    for found in manifests.of("Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment", "PodMonitor", "Rollout"):
        key = "podSelector" if found["kind"] == "NetworkPolicy" else "selector"
        selector = found["spec"].get(key)
        chosen = manifests.selected(selector)
        if not chosen:
            yield f"{name_of(found)}: its selector matches nothing"
        if found["kind"] == "Deployment" and name_of(found) not in {process.where for process in chosen}:
            yield f"{name_of(found)}: its selector does not match its own pods"


def _service_ports(manifests: Manifests) -> Iterator[str]:
    for service in manifests.of("Service"):
        for port in service["spec"]["ports"]:
            for process in manifests.selected(service["spec"].get("selector")):
                if process.port(port.get("targetPort", port["port"])) != port["port"]:
                    yield f"{name_of(service)}: port {port['port']} is not where {process.where} listens"


def _monitored(manifests: Manifests) -> Iterator[str]:
    for monitor in manifests.of("PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for process in manifests.selected(monitor["spec"]["selector"]):
                if endpoint["port"] not in process.ports:
                    yield f"{name_of(monitor)}: {process.where} has no port called {endpoint['port']}"
            if (path := endpoint.get("path", "/metrics")) != "/metrics":
                yield f"{name_of(monitor)}: metrics are at /metrics, and not at {path}"


def _targets(manifests: Manifests) -> Iterator[str]:
    """What is named exists."""
    for found, kind, name in _references(manifests):
        if manifests.named(kind, name) is None:
            yield f"{found}: there is no {kind}/{name}"


def _references(manifests: Manifests) -> Iterator[tuple[str, str, str]]:
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        yield name_of(scaler), target["kind"], target["name"]
    for ingress in manifests.of("Ingress"):
        for path in paths(ingress):
            yield name_of(ingress), "Service", path["backend"]["service"]["name"]
    for rollout in manifests.of("Rollout"):
        if workload := rollout["spec"].get("workloadRef"):
            yield name_of(rollout), workload["kind"], workload["name"]
        for key, value in leaves(rollout["spec"]["strategy"]):
            if key in _NAMED_IN_A_STRATEGY:
                yield name_of(rollout), _NAMED_IN_A_STRATEGY[key], value
    for process in manifests.processes:
        yield from ((process.where, *needed) for needed in _needed_by(process))


def _needed_by(process: Process) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", process.pod["serviceAccountName"]
    for source in process.container.get("envFrom", ()):
        kind = "ConfigMap" if "configMapRef" in source else "ExternalSecret"
        yield kind, next(iter(source.values()))["name"]
    for volume in process.pod.get("volumes", ()):
        if "secret" in volume:
            yield "ExternalSecret", volume["secret"]["secretName"]


def _analyses(manifests: Manifests) -> Iterator[str]:
    """A Rollout is judged, and gives an analysis the arguments that it has no values for, and no others."""
    for rollout in manifests.of("Rollout"):
        analyses = [*_analyses_of(rollout["spec"]["strategy"])]
        if not analyses:
            yield f"{name_of(rollout)}: nothing judges a release"
        for analysis in analyses:
            for used in analysis["templates"]:
                template = manifests.named("AnalysisTemplate", used["templateName"])
                wanted = template["spec"]["args"] if template else []
                given = {argument["name"] for argument in analysis.get("args", ())}
                for name in sorted({each["name"] for each in wanted if "value" not in each} - given):
                    yield f"{name_of(rollout)}: {used['templateName']} is not told {name}"
                for name in sorted(given - {each["name"] for each in wanted}):
                    yield f"{name_of(rollout)}: {used['templateName']} does not ask for {name}"


def _scaled_workloads(manifests: Manifests) -> Iterator[str]:
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        reference = scaler["spec"]["scaleTargetRef"]
        target = manifests.named(reference["kind"], reference["name"])
        if target and "replicas" in target["spec"]:
            yield f"{name_of(target)}: its replicas are those of {name_of(scaler)}, and are not given here"
    for rollout in manifests.of("Rollout"):
        workload = manifests.named("Deployment", rollout["spec"].get("workloadRef", {}).get("name", ""))
        if workload and workload["spec"].get("replicas") != 0:
            yield f"{name_of(workload)}: {name_of(rollout)} has its pods, and nothing would judge those of its own"


def _public_paths(manifests: Manifests) -> Iterator[str]:
    """Strangers come by the ingress, with TLS, and to what is for them."""
    for service in manifests.of("Service"):
        if (kind := service["spec"].get("type", "ClusterIP")) != "ClusterIP":
            yield f"{name_of(service)}: a {kind} is a way past the ingress"
    for ingress in manifests.of("Ingress"):
        for path in paths(ingress):
            if path["path"] not in _PUBLIC:
                yield f"{name_of(ingress)}: {path['path']} is not for strangers"
        for host in sorted({rule["host"] for rule in ingress["spec"]["rules"]} - {*_tls_hosts(ingress)}):
            yield f"{name_of(ingress)}: {host} has no certificate"
    for asked in manifests.of("Probe"):
        for address in map(urlsplit, asked["spec"]["targets"]["staticConfig"]["static"]):
            if address.netloc and address.path not in _PUBLIC:
                yield f"{name_of(asked)}: {address.path} is not for strangers"


def _one_host(manifests: Manifests) -> Iterator[str]:
    """The certificate, the ingress and what is asked from outside have one host."""
    hosts = {
        host
        for ingress in manifests.of("Ingress")
        for host in (*(rule["host"] for rule in ingress["spec"]["rules"]), *_tls_hosts(ingress))
    }
    for asked in manifests.of("Probe"):
        hosts |= {re.sub(r"^https://|[:/].*$", "", each) for each in asked["spec"]["targets"]["staticConfig"]["static"]}
    for process in manifests.processes:
        if address := manifests.environment(process).get("APP_PROBE__BASE_URL"):
            hosts.add(address.removeprefix("https://").partition("/")[0])
    if len(hosts) != 1:
        yield f"Ingress: customers, certificate and probes have not one host, but {', '.join(sorted(hosts))}"


def _bounds(manifests: Manifests) -> Iterator[str]:
    """What exceptions.yaml relies on."""
    for kind in ("ResourceQuota", "LimitRange"):
        if not [*manifests.of(kind)]:
            yield f"Namespace: it has no {kind}"


def _quota(manifests: Manifests) -> Iterator[str]:
    """The namespace has room for the most pods there may be, and for a roll-out of all of them."""
    needed: dict[str, float] = {"pods": 0}
    for process in manifests.processes:
        pods = _most_pods(manifests, process)
        needed["pods"] += pods
        for side, values in process.container.get("resources", {}).items():
            for resource, value in values.items():
                needed[f"{side}.{resource}"] = needed.get(f"{side}.{resource}", 0) + pods * quantity(value)
    for quota in manifests.of("ResourceQuota"):
        for resource, value in quota["spec"]["hard"].items():
            if needed.get(resource, 0) > quantity(value):
                yield f"{name_of(quota)}: {resource} is {value}, and {needed[resource]:g} may be needed"


def _most_pods(manifests: Manifests, process: Process) -> int:
    kind, _, name = process.where.partition("/")
    if kind != "Deployment":
        return 1
    replicas = most_replicas(manifests, name)
    rollout = manifests.named("Rollout", name)
    if rollout and "blueGreen" in rollout["spec"]["strategy"]:
        return 3 * replicas  # what runs, the release, and the one before until its scaleDownDelaySeconds are over
    strategy = (manifests.named(kind, name) or {})["spec"].get("strategy", {})
    if strategy.get("type") == "Recreate":
        return replicas
    surge = str(strategy.get("rollingUpdate", {}).get("maxSurge", "25%"))
    # A pod counts until it is gone, and all old ones may still drain when the last new one is there.
    return 2 * replicas + (-(-replicas * int(surge[:-1]) // 100) if surge.endswith("%") else int(surge))


def most_replicas(manifests: Manifests, name: str) -> int:
    """Return how many pods of a Deployment there may be, without a roll-out."""
    scaler = manifests.named("HorizontalPodAutoscaler", name)
    deployment = manifests.named("Deployment", name) or {}
    return int(scaler["spec"]["maxReplicas"] if scaler else deployment["spec"].get("replicas", 1))


def quantity(written: str | float) -> float:
    """Return how much of a resource is written; what is no quantity is not a number, and no more or less than any."""
    found = re.fullmatch(r"([\d.]+)(m|k|M|G|Ki|Mi|Gi)?", str(written))
    return float(found[1]) * _UNITS[found[2] or ""] if found else math.nan


def paths(ingress: Object) -> Iterator[Object]:
    """Yield what an ingress sends somewhere."""
    return (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"])


def _tls_hosts(ingress: Object) -> list[str]:
    return [host for tls in ingress["spec"].get("tls", ()) for host in tls["hosts"]]


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of an object
    """Yield every text in a part of an object, with the key that it is under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    elif isinstance(value, str):
        yield key, value


def _analyses_of(strategy: Object) -> Iterator[Object]:
    yield from (step["analysis"] for step in strategy.get("canary", {}).get("steps", ()) if "analysis" in step)
    yield from (part for key, part in strategy.get("blueGreen", {}).items() if key.endswith("Analysis"))


RULES: tuple[Rule, ...] = (
    _images,
    _selectors,
    _service_ports,
    _monitored,
    _targets,
    _analyses,
    _scaled_workloads,
    _public_paths,
    _one_host,
    _bounds,
    _quota,
)
