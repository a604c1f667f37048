"""The manifests of deploy/k8s as a cluster gets them: every overlay, and production with what can be chosen for it."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dev.environment import ROOT
from dev.ops import tools

FOLDER = ROOT / "deploy" / "k8s"
_GENERATED = ROOT / "ops" / "generated"
_SECONDS = 60
Object = dict[str, Any]


class Variant(NamedTuple):
    """An overlay, with its own components or with these."""

    overlay: str
    components: tuple[str, ...] | None = None


VARIANTS = {
    "dev": Variant("dev"),
    "staging": Variant("staging"),
    "production": Variant("production"),
    "plain": Variant("production", ()),
    "blue-green": Variant("production", ("blue-green",)),
    "waf": Variant("production", ("canary", "waf", "flags")),
}


class CannotRender(Exception):
    """kustomize refused; the message is its own."""


def render_all(folder: Path = FOLDER) -> Mapping[str, Sequence[Object]]:
    """Return the objects of every variant.

    Raises:
        CannotRender: an overlay is broken.
        dev.ops.tools.ToolMissing: there is neither kubectl nor kustomize.
    """
    return {name: render(variant, folder) for name, variant in VARIANTS.items()}


def render(variant: Variant, folder: Path = FOLDER) -> Sequence[Object]:
    """Return the objects of one.

    Raises:
        CannotRender: it is broken.
        dev.ops.tools.ToolMissing: there is neither kubectl nor kustomize.
    """
    with tempfile.TemporaryDirectory() as work:
        # A copy, since a choice of components is a line of the overlay.
        copy = Path(work) / "deploy" / "k8s"
        shutil.copytree(folder, copy)
        for name in ("canary", "kubernetes"):
            shutil.copytree(_GENERATED / name, Path(work) / "ops" / "generated" / name)
        overlay = copy / "overlays" / variant.overlay
        if variant.components is not None:
            _choose(overlay / "kustomization.yaml", variant.components)
        return built(overlay)


def built(overlay: Path) -> Sequence[Object]:
    """Return what kustomize makes of a folder.

    Raises:
        CannotRender: it is broken.
        dev.ops.tools.ToolMissing: there is neither kubectl nor kustomize.
    """
    kubectl = shutil.which("kubectl")
    command = [kubectl, "kustomize"] if kubectl else [str(tools.find("kustomize")), "build"]
    made = subprocess.run([*command, str(overlay)], capture_output=True, text=True, check=False, timeout=_SECONDS)
    if made.returncode:
        raise CannotRender(made.stderr.strip())
    return [*yaml.load_all(made.stdout, Loader=yaml.CSafeLoader)]  # the safe one, in C


def _choose(path: Path, components: Sequence[str]) -> None:
    kustomization = yaml.safe_load(path.read_text())
    kustomization["components"] = [f"../../components/{name}" for name in components]
    path.write_text(yaml.safe_dump(kustomization))
