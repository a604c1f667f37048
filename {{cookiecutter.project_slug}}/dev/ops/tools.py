"""Prometheus's programs, and kustomize: of the machine, or else out of Debian's packages, with nothing installed."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

from dev import cache

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
    "kustomize": "kustomize",
}
"""By program: the package of Debian and Ubuntu that has it."""
_FIXED = b"/usr/share/prometheus/alertmanager"
"""Where Debian's Alertmanager looks for its templates, whatever it is told."""
_SECONDS = 300


class ToolMissing(Exception):
    """A program is not here, and cannot be had; the message says how to get it."""


def find(program: str) -> Path:
    """Return where a program is.

    Raises:
        ToolMissing: neither on this machine, nor to be had by apt-get.
    """
    if on_path := shutil.which(program):
        return Path(on_path)
    package = PACKAGES[program]
    programs = cache.folder()
    folder = programs / package
    path = folder / "bin" / program
    with (programs / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _unpack(package, folder)
    return path


def beside(program: Path) -> Path | None:
    """Return the folder that a program has to see as `usr` where it runs; None if it is installed."""
    return program.parents[1] if program.parents[2].name == "service-ops" else None


def _unpack(package: str, folder: Path) -> None:
    advice = f"apt-get install --no-install-recommends {package}"
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ToolMissing(f"{package} is not installed, and there is no apt-get: {advice}, or the like on your system")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        for attempt in ("as it is", "updated"):
            if attempt == "updated":  # a fresh machine knows of no package yet
                _run(["apt-get", "update"], work)
            if _run(["apt-get", "download", package], work) == 0:
                break
        found = list(Path(work).glob("*.deb"))
        if not found or _run(["dpkg-deb", "-x", str(found[0]), "unpacked"], work):
            raise ToolMissing(f"{package} cannot be downloaded here: {advice}")
        unpacked = Path(work) / "unpacked" / "usr"
        for program in (unpacked / "bin").iterdir():
            said = program.read_bytes()
            if _FIXED in said:  # of the same length, and found from where it runs
                program.write_bytes(said.replace(_FIXED, _FIXED.replace(b"/usr/", b"usr//")))
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def _run(command: list[str], folder: str) -> int:
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False).returncode
