"""Who may speak to whom: whether NetworkPolicies let through what is needed, and nothing else."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network

from dev.delivery.kustomize import Object
from dev.delivery.manifest_rules import paths
from dev.delivery.manifests import Manifests, name_of

Rule = Callable[[Manifests], Iterator[str]]
_METADATA = ip_address("169.254.169.254")
"""Where a cloud's machine tells its own credentials to whoever asks."""


def _policy_ports(manifests: Manifests) -> Iterator[str]:
    for policy in manifests.of("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                for process in manifests.selected(policy["spec"].get("podSelector")):
                    if process.port(port["port"]) is None:
                        yield f"{name_of(policy)}: {process.where} does not listen on {port['port']}"


def _policies_are_narrow(manifests: Manifests) -> Iterator[str]:
    """A flow that names no other side, or no port, is a flow for everybody, or everywhere."""
    for policy in manifests.of("NetworkPolicy"):
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            rules = policy["spec"].get(direction, ())
            if rules and direction.title() not in policy["spec"].get("policyTypes", ()):
                yield f"{name_of(policy)}: its {direction} counts for nothing, as it is none of its policyTypes"
            for rule in rules:
                for part in (peers, "ports"):
                    if not rule.get(part):
                        yield f"{name_of(policy)}: its {direction} is not bounded by `{part}`"


def _is_reached(manifests: Manifests) -> Iterator[str]:
    """Every port of a process is let in by a policy, or else nobody can ask it."""
    allowed = {
        (process.where, process.port(port["port"]))
        for policy in manifests.of("NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
        for port in rule.get("ports", ())
        for process in manifests.selected(policy["spec"].get("podSelector"))
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
        for process in manifests.selected(policy["spec"].get("podSelector"))
    }
    for ingress in manifests.of("Ingress"):
        for path in paths(ingress):
            service = manifests.named("Service", path["backend"]["service"]["name"])
            for process in manifests.selected(service["spec"].get("selector") if service else None):
                if process.where not in allowed:
                    yield f"{name_of(ingress)}: no NetworkPolicy lets it in to {process.where}"


def _is_of_the_ingress(peer: Object) -> bool:
    labels: Object = peer.get("namespaceSelector", {}).get("matchLabels", {})
    return labels == {"kubernetes.io/metadata.name": "ingress"}


def _default_deny(manifests: Manifests) -> Iterator[str]:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if not any(policy["spec"] == deny for policy in manifests.of("NetworkPolicy")):
        yield "Namespace: no NetworkPolicy denies what no other allows"


def _blocks(manifests: Manifests) -> Iterator[str]:
    """An address range is one, and has not the machine's metadata in it."""
    for policy in manifests.of("NetworkPolicy"):
        for rule in policy["spec"].get("egress", ()):
            for block in (peer["ipBlock"] for peer in rule.get("to", ()) if "ipBlock" in peer):
                try:
                    within, *without = map(ip_network, (block["cidr"], *block.get("except", ())))
                except ValueError as exc:
                    yield f"{name_of(policy)}: {exc}"
                    continue
                if _METADATA in within and not any(_METADATA in each for each in without):
                    yield f"{name_of(policy)}: it lets out to the metadata of the machine, {_METADATA}"


RULES: tuple[Rule, ...] = (
    _policy_ports,
    _policies_are_narrow,
    _is_reached,
    _ingress_is_let_in,
    _default_deny,
    _blocks,
)
