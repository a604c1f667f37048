"""Programs that exist for Node only: installed once into the user's cache folder, in one version, by npm."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dev.ops.tools import ToolMissing

PACKAGES = {"unleash-server": "7.5.1"}  # the last one that is for Node 20 as well
"""By package: its version. Its dependencies are the newest that it allows."""
_OLDEST_NODE = 20
_SECONDS = 300


def node() -> Path:
    """Return where Node is.

    Raises:
        ToolMissing: nowhere, or it is too old.
    """
    found = shutil.which("node")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout if found else ""
    if not found or int(version.strip().removeprefix("v").partition(".")[0] or 0) < _OLDEST_NODE:
        raise ToolMissing(f"Node {_OLDEST_NODE} or newer is not installed: install nodejs and npm as your system does")
    return Path(found)


def find(package: str) -> Path:
    """Return the folder of a package.

    Raises:
        ToolMissing: it is not here, and cannot be installed.
    """
    node()
    version = PACKAGES[package]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "service-ops" / "npm"
    folder = cache / f"{package}-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(f"{package}@{version}", folder)
    return folder / "node_modules" / package


def _install(wanted: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if not npm:
        raise ToolMissing(f"{wanted} is not installed, and there is no npm: install npm as your system does")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        # Without scripts: what a package wants to run at its installation is nothing that this needs.
        options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--omit=dev", "--prefix", work]
        done = subprocess.run(
            [npm, "install", *options, wanted], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise ToolMissing(f"{wanted} cannot be installed: {' '.join(done.stderr.split())[-200:]}")
        Path(work).rename(folder)
        Path(work).mkdir()  # which the block removes
