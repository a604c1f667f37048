"""Objects of a cluster, read: which processes they start, with which variables, and what selects them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from dev.delivery.kustomize import Object

SECRET = None
"""The value of a variable that a secret gives."""


class Process(NamedTuple):
    """A container, and what it is part of."""

    where: str
    """Such as Deployment/http."""
    labels: Mapping[str, str]
    """Of its pod."""
    pod: Object
    container: Object

    @property
    def command(self) -> Sequence[str]:
        """The words behind the image's entry point; its own, where none are given."""
        return [str(word) for word in self.container.get("args", ("serve",))]

    @property
    def ports(self) -> Mapping[str, int]:
        """What it says to listen on, by name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", ())}

    def port(self, named: int | str) -> int | None:
        """Return the number of a port that is given by number or name, if it listens there."""
        number = self.ports.get(named) if isinstance(named, str) else named
        return number if number in self.ports.values() else None

    @property
    def is_ours(self) -> bool:
        """Whether it is the service's own image, which needs its own name for a part of it."""
        return self.image.name.rpartition("/")[2] != "modsecurity-crs"

    @property
    def image(self) -> "Image":
        """What it runs."""
        whole = str(self.container["image"])
        rest, _, digest = whole.partition("@")
        name, _, tag = rest.rpartition(":") if ":" in rest.rpartition("/")[2] else (rest, "", "")
        return Image(name, tag, digest)


class Image(NamedTuple):
    """The parts of an image's name."""

    name: str
    tag: str
    digest: str


@dataclass(frozen=True)
class Manifests:
    """All objects of one variant."""

    objects: Sequence[Object]

    def of(self, *kinds: str) -> Iterator[Object]:
        """Yield the objects of some kinds."""
        return (found for found in self.objects if found["kind"] in kinds)

    def named(self, kind: str, name: str) -> Object | None:
        """Return an object by its name."""
        return next((found for found in self.of(kind) if found["metadata"]["name"] == name), None)

    @cached_property
    def processes(self) -> Sequence[Process]:
        """Every container that a workload starts."""
        return [
            Process(f"{found['kind']}/{found['metadata']['name']}", _labels(template), template["spec"], container)
            for found in self.objects
            if (template := _template(found))
            for container in (*template["spec"]["containers"], *template["spec"].get("initContainers", ()))
        ]

    def selected(self, selector: Object | None) -> Sequence[Process]:
        """Return the processes in pods that a selector of labels chooses; none, if there is no selector."""
        return [] if selector is None else [found for found in self.processes if _matches(selector, found.labels)]

    def environment(self, process: Process) -> Mapping[str, str | None]:
        """Return the variables that a process gets; SECRET instead of a value that no manifest has."""
        found: dict[str, str | None] = {}
        for source in process.container.get("envFrom", ()):
            if "configMapRef" in source:
                given = self.named("ConfigMap", source["configMapRef"]["name"])
                found |= given.get("data", {}) if given else {}
            else:
                found |= dict.fromkeys(self.keys_of_secret(source["secretRef"]["name"]), SECRET)
        return found | {each["name"]: each.get("value", SECRET) for each in process.container.get("env", ())}

    def keys_of_secret(self, name: str) -> Sequence[str]:
        """Return what an external secret puts into the secret of this name."""
        given = self.named("ExternalSecret", name)
        return [str(each["secretKey"]) for each in given["spec"].get("data", ())] if given else []


def name_of(found: Object) -> str:
    """Return kind and name of an object."""
    return f"{found['kind']}/{found['metadata']['name']}"


def _template(found: Object) -> Object | None:
    spec = found.get("spec", {})
    if found["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template = spec.get("template", {})
    return template if "containers" in template.get("spec", {}) else None


def _labels(template: Object) -> Mapping[str, str]:
    return dict(template.get("metadata", {}).get("labels", {}))


def _matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether labels are those of a selector, which may also be one of a Service: labels and nothing else."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        return all(labels.get(name) == value for name, value in selector.items())
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    found, values = labels.get(expression["key"]), expression.get("values", ())
    return {
        "In": found in values,
        "NotIn": found not in values,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }.get(expression["operator"], False)
