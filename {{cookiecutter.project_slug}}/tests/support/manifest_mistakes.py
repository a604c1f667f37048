"""Mistakes that are planted in manifests."""

import copy
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from dev.delivery.kustomize import Object
from dev.delivery.manifests import name_of

GONE = object()
"""Instead of a value: what is there is taken away."""
CONTAINER = "spec.template.spec.containers.0"
HTTP = "app.kubernetes.io/component"


class Mistake(NamedTuple):
    """A change of one object, and what must be said of it."""

    where: str
    path: str
    value: Any
    told: str
    variant: str = "production"


def with_mistake(objects: Sequence[Object], mistake: Mistake) -> tuple[list[Object], Object]:
    """Return the objects with one of them changed, and that one."""
    changed = copy.deepcopy([*objects])
    # The name of a ConfigMap ends with a checksum.
    found = next(each for each in changed if re.sub(r"(settings)-\w{10}$", r"\1", name_of(each)) == mistake.where)
    *parents, last = [int(part) if part.isdigit() else part for part in _parts(mistake.path)]
    part: Any = found
    for key in parents:
        part = part[key]
    if mistake.value is GONE:
        del part[last]
    else:
        assert not isinstance(part, dict) or part.get(last) != mistake.value
        part[last] = mistake.value
    return changed, found


def _parts(path: str) -> list[str]:
    """A label is one part, although it has dots."""
    head, label, _ = path.partition(HTTP)
    return [*head.strip(".").split("."), *([label] if label else [])]
