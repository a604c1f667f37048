"""Objects held against the schemas of Kubernetes, and of those who made the custom ones: every field, strictly."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev import npm
from dev.delivery import tools
from dev.delivery.kustomize import Object

VERSION = "1.34"
"""Of Kubernetes: the oldest that is wanted."""
_OF_KUBERNETES = re.compile(r"v\d+|(apps|autoscaling|batch|policy)/v\d+|[a-z.]+\.k8s\.io/v\d+")
_PROGRAM = Path(__file__).with_name("custom_resources.mjs")
_PACKAGES = (
    "@kubernetes-models/argo-rollouts@2.0.0",
    "@kubernetes-models/external-secrets@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
)
_ANSWER = re.compile(r"(ERROR|WARN|INFO) (\S+) (.*)")
_SECONDS = 300


def is_custom(found: Object) -> bool:
    """Tell whether Kubernetes itself has no schema of it."""
    return not _OF_KUBERNETES.fullmatch(found["apiVersion"])


def mistakes(files: Mapping[Path, Object]) -> Mapping[Path, Sequence[str]]:
    """Return what is wrong with each object of Kubernetes itself, which is also in a file.

    Raises:
        ToolMissing: kubernetes-validate was not installed.
    """
    said = tools.run("kubernetes-validate", "--strict", "-k", VERSION, *map(str, files))
    answers = [found.groups() for line in said.stdout.splitlines() if (found := _ANSWER.match(line))]
    told: dict[Path, list[str]] = {path: [] for path in files}
    heard = set()
    for level, name, text in answers:
        heard.add(Path(name))
        if level != "INFO":  # what it does not know is for it only a warning
            told[Path(name)].append(re.sub(r"^did not validate .*? version [\d.]+: ", "", text))
    for path in files.keys() - heard:
        told[path].append(f"kubernetes-validate said nothing of it: {said.stderr.strip()[-200:]}")
    return told


def custom_mistakes(objects: Sequence[Object]) -> Sequence[Sequence[str]]:
    """Return what is wrong with each custom object.

    Raises:
        ToolMissing: node was not installed, or the packages cannot be had.
    """
    said = subprocess.run(
        [npm.node(), _PROGRAM, npm.installed(*_PACKAGES)],
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    return list(json.loads(said.stdout))
