"""Objects held against the schemas of Kubernetes, and of those who made the custom ones: every field, strictly."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.delivery import tools
from dev.delivery.kustomize import Object
from dev.delivery.tools import ToolMissing

VERSION = "1.34"
"""Of Kubernetes: the oldest that is wanted."""
_OF_KUBERNETES = re.compile(r"v\d+|(apps|autoscaling|batch|policy)/v\d+|[a-z.]+\.k8s\.io/v\d+")
_NODE = Path(__file__).with_name("custom_resources.mjs")
_PACKAGES = ("argo-rollouts@2.0.0", "external-secrets@2.0.0", "prometheus-operator@6.0.0")
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
        ToolMissing: there is no node, or its packages cannot be had.
    """
    node = shutil.which("node")
    if node is None:
        raise ToolMissing("schemas of custom resources need node, which is not installed")
    said = subprocess.run(
        [node, str(_NODE), str(_packages())],
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    return list(json.loads(said.stdout))


def _packages() -> Path:
    """Return the folder that has the schemas; they are installed once, for all services of this user."""
    npm = shutil.which("npm")
    if npm is None:
        raise ToolMissing("schemas of custom resources need npm, which is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "service-delivery"
    folder = cache / "-".join(["schemas", *_PACKAGES])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "schemas.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "package.json").write_text('{"private": true}\n')
            wanted = [f"@kubernetes-models/{name}" for name in _PACKAGES]
            command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", *wanted]
            made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
            if made.returncode:
                raise ToolMissing(f"schemas of custom resources cannot be installed: {made.stderr.strip()[-200:]}")
            (folder / "installed").touch()
    return folder
