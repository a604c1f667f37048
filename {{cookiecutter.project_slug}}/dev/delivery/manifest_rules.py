"""What no schema knows of the manifests: whether they agree with each other. `process_rules.py` has the code's side."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from dev.delivery.kustomize import Object
from dev.delivery.manifests import Manifests, Process, name_of
from dev.environment import project_name

Rule = Callable[[Manifests], Iterator[str]]
_UNITS = {"": 1.0, "m": 1e-3, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
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
            for process in manifests.selected(service["spec"]["selector"]):
                if process.port(port["targetPort"]) != port["port"]:
                    yield f"{name_of(service)}: port {port['port']} is not where {process.where} listens"


def _policy_ports(manifests: Manifests) -> Iterator[str]:
    for policy in manifests.of("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                for process in manifests.selected(policy["spec"]["podSelector"]):
                    if process.port(port["port"]) is None:
                        yield f"{name_of(policy)}: {process.where} does not listen on {port['port']}"


def _is_reached(manifests: Manifests) -> Iterator[str]:
    """Every port of a process is let in by a policy, or else nobody can ask it."""
    allowed = {
        (process.where, process.port(port["port"]))
        for policy in manifests.of("NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
        for port in rule.get("ports", ())
        for process in manifests.selected(policy["spec"]["podSelector"])
    }
    for process in manifests.processes:
        for number in process.ports.values():
            if (process.where, number) not in allowed:
                yield f"{process.where}: no NetworkPolicy lets anybody in on {number}"


def _ingress_is_let_in(manifests: Manifests) -> Iterator[str]:
    """What the ingress sends requests to accepts them from it."""
    allowed = {
        process.where
        for policy in manifests.of("NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
        if any(_is_of_the_ingress(each) for each in rule.get("from", ()))
        for process in manifests.selected(policy["spec"]["podSelector"])
    }
    for ingress in manifests.of("Ingress"):
        for path in _paths(ingress):
            service = manifests.named("Service", path["backend"]["service"]["name"])
            for process in manifests.selected(service["spec"]["selector"] if service else None):
                if process.where not in allowed:
                    yield f"{name_of(ingress)}: no NetworkPolicy lets it in to {process.where}"


def _is_of_the_ingress(peer: Object) -> bool:
    labels: Object = peer.get("namespaceSelector", {}).get("matchLabels", {})
    return labels == {"kubernetes.io/metadata.name": "ingress"}


def _default_deny(manifests: Manifests) -> Iterator[str]:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if not any(policy["spec"] == deny for policy in manifests.of("NetworkPolicy")):
        yield "Namespace: no NetworkPolicy denies what no other allows"


def _monitored(manifests: Manifests) -> Iterator[str]:
    for monitor in manifests.of("PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for process in manifests.selected(monitor["spec"]["selector"]):
                if endpoint["port"] not in process.ports:
                    yield f"{name_of(monitor)}: {process.where} has no port called {endpoint['port']}"


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
        for path in _paths(ingress):
            yield name_of(ingress), "Service", path["backend"]["service"]["name"]
    for rollout in manifests.of("Rollout"):
        yield name_of(rollout), rollout["spec"]["workloadRef"]["kind"], rollout["spec"]["workloadRef"]["name"]
        for key, value in _leaves(rollout["spec"]["strategy"]):
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
    """A Rollout gives an analysis the arguments that it has no values for, and no others."""
    for rollout in manifests.of("Rollout"):
        for analysis in _analyses_of(rollout["spec"]["strategy"]):
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
        target = manifests.named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        if target and "replicas" in target["spec"]:
            yield f"{name_of(target)}: its replicas are those of {name_of(scaler)}, and are not given here"


def _public_paths(manifests: Manifests) -> Iterator[str]:
    for ingress in manifests.of("Ingress"):
        for path in _paths(ingress):
            if path["path"] not in _PUBLIC:
                yield f"{name_of(ingress)}: {path['path']} is not for strangers"


def _one_host(manifests: Manifests) -> Iterator[str]:
    """The certificate, the ingress and what is asked from outside have one host."""
    hosts = {
        host
        for ingress in manifests.of("Ingress")
        for host in (*(rule["host"] for rule in ingress["spec"]["rules"]), *_tls_hosts(ingress))
    }
    for asked in manifests.of("Probe"):
        hosts |= {re.sub(r"^https://|[:/].*$", "", re.sub(r"^https://", "", each)) for each in _static(asked)}
    for process in manifests.processes:
        if address := manifests.environment(process).get("APP_PROBE__BASE_URL"):
            hosts.add(address.removeprefix("https://").partition("/")[0])
    if len(hosts) != 1:
        yield f"Ingress: customers, certificate and probes have not one host, but {', '.join(sorted(hosts))}"


def _quota(manifests: Manifests) -> Iterator[str]:
    """The namespace has room for the most pods there may be, and for a roll-out of all of them."""
    needed: dict[str, float] = {"pods": 0}
    for process in manifests.processes:
        pods = _most_pods(manifests, process)
        needed["pods"] += pods
        for side, values in process.container.get("resources", {}).items():
            for resource, value in values.items():
                needed[f"{side}.{resource}"] = needed.get(f"{side}.{resource}", 0) + pods * _quantity(value)
    for quota in manifests.of("ResourceQuota"):
        for resource, value in quota["spec"]["hard"].items():
            if needed.get(resource, 0) > _quantity(value):
                yield f"{name_of(quota)}: {resource} is {value}, and {needed[resource]:g} may be needed"


def _most_pods(manifests: Manifests, process: Process) -> int:
    kind, _, name = process.where.partition("/")
    if kind != "Deployment":
        return 1
    deployment = manifests.named(kind, name) or {}
    scaler = manifests.named("HorizontalPodAutoscaler", name)
    replicas = int(scaler["spec"]["maxReplicas"] if scaler else deployment["spec"].get("replicas", 1))
    rollout = manifests.named("Rollout", name)
    if rollout and "blueGreen" in rollout["spec"]["strategy"]:
        return 2 * replicas
    surge = str(deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge", 0))
    return replicas + (-(-replicas * int(surge[:-1]) // 100) if surge.endswith("%") else int(surge))


def _quantity(written: str | float) -> float:
    found = re.fullmatch(r"([\d.]+)(m|Ki|Mi|Gi)?", str(written))
    if found is None:
        raise ValueError(f"{written} is no quantity")
    return float(found[1]) * _UNITS[found[2] or ""]


def _paths(ingress: Object) -> Iterator[Object]:
    return (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"])


def _tls_hosts(ingress: Object) -> list[str]:
    return [host for tls in ingress["spec"].get("tls", ()) for host in tls["hosts"]]


def _static(probe: Object) -> list[str]:
    return list(probe["spec"]["targets"]["staticConfig"]["static"])


def _leaves(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of an object
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [(key, inner)] if isinstance(inner, str) else _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)


def _analyses_of(strategy: Object) -> Iterator[Object]:
    yield from (step["analysis"] for step in strategy.get("canary", {}).get("steps", ()) if "analysis" in step)
    yield from (part for key, part in strategy.get("blueGreen", {}).items() if key.endswith("Analysis"))


RULES: tuple[Rule, ...] = (
    _images,
    _selectors,
    _service_ports,
    _policy_ports,
    _is_reached,
    _ingress_is_let_in,
    _default_deny,
    _monitored,
    _targets,
    _analyses,
    _scaled_workloads,
    _public_paths,
    _one_host,
    _quota,
)
