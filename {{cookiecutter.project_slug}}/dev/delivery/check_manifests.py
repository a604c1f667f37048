"""Renders every variant of deploy/k8s, and says what is wrong with it. `make manifests` runs it."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dev.delivery import admission_rules, falco, manifest_rules, network_rules, policy, process_rules, schemas
from dev.delivery.kustomize import CannotRender, Object, render_all
from dev.delivery.manifests import Manifests, name_of
from dev.delivery.tools import ToolMissing as DeliveryToolMissing
from dev.ops.lines import BadSource
from dev.ops.tools import ToolMissing

RULES = (*manifest_rules.RULES, *network_rules.RULES, *admission_rules.RULES, *process_rules.RULES)


def by_rules(objects: Sequence[Object]) -> list[str]:
    """Return what the rules of this house say of the objects of a variant."""
    manifests = Manifests(objects)
    return [told for rule in RULES for told in rule(manifests)]


def by_schemas(objects: Sequence[Object]) -> Mapping[int, Sequence[str]]:
    """Return what is wrong with each object of Kubernetes itself, by its place in the sequence.

    Raises:
        ToolMissing: kubernetes-validate is not here.
    """
    with tempfile.TemporaryDirectory() as folder:
        return {_number(path): told for path, told in schemas.mistakes(_written(objects, Path(folder))).items()}


def by_custom_schemas(objects: Sequence[Object]) -> Mapping[int, Sequence[str]]:
    """Return what is wrong with each of the others.

    Raises:
        ToolMissing: there is no node, or its packages cannot be had.
    """
    custom = [number for number, found in enumerate(objects) if schemas.is_custom(found)]
    told = schemas.custom_mistakes([objects[number] for number in custom])
    return dict(zip(custom, told, strict=True))


def by_policies(objects: Sequence[Object]) -> tuple[Mapping[int, Sequence[str]], Sequence[str]]:
    """Return what trivy says of each object, by its place, but for what is excepted; and what is wrong with exceptions.

    Raises:
        ToolMissing: trivy is not here.
        dev.ops.lines.BadSource: the exceptions cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = _written(objects, Path(folder))
        today = datetime.now(UTC).date()
        left, wrong = policy.without_exceptions(policy.scan(files, Path(folder)), files, policy.read(), today)
    return {_number(path): told for path, told in left.items()}, wrong


def distinct(variants: Mapping[str, Sequence[Object]]) -> Sequence[Object]:
    """Return the objects of all variants, each once: most are the same in all."""
    return [*{json.dumps(found, sort_keys=True): found for objects in variants.values() for found in objects}.values()]


def check(variants: Mapping[str, Sequence[Object]]) -> list[str]:
    """Return everything that is wrong.

    Raises:
        ToolMissing: a program is not here.
        dev.ops.lines.BadSource: the exceptions cannot be read.
    """
    objects = distinct(variants)
    told = [f"falco: {said}" for said in falco.mistakes(falco.SOURCE.read_text())]
    by_each = {**by_schemas(objects), **by_custom_schemas(objects)}
    told += [f"{name_of(objects[at])}: {said}" for at, found in by_each.items() for said in found]
    broken = [objects[at] for at, found in by_each.items() if found]  # rules rely on what schemas ask for
    told += [
        f"{variant}: {said}"
        for variant, found in variants.items()
        if not any(each in broken for each in found)
        for said in by_rules(found)
    ]
    left, wrong = by_policies(objects)
    told += [f"{name_of(objects[at])}: {said}" for at, found in left.items() for said in found]
    return [*dict.fromkeys([*told, *(f"{policy.SOURCE.name}: {said}" for said in wrong)])]


def main() -> None:
    """Say what is wrong, or how much was looked at."""
    try:
        variants = render_all()
        wrong = check(variants)
    except (BadSource, CannotRender, DeliveryToolMissing, ToolMissing, policy.ScanFailed) as exc:
        sys.exit(str(exc))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(distinct(variants))} objects of {len(variants)} variants: nothing to complain about")


def _written(objects: Sequence[Object], folder: Path) -> Mapping[Path, Object]:
    files = {folder / f"{at}.yaml": found for at, found in enumerate(objects) if not schemas.is_custom(found)}
    for path, found in files.items():
        path.write_text(json.dumps(found))  # which is YAML, too
    return files


def _number(path: Path) -> int:
    return int(path.stem)


if __name__ == "__main__":
    main()
