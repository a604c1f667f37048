"""A registry on this machine and cosign, out of Debian's packages, without installing them."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import until_it_answers

_REGISTRY = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: 127.0.0.1:{port}
"""
_SUITES = ("", "trixie")
"""Where packages are looked for: on this machine's own system, and in the first Debian that has cosign."""


def find(folder: Path) -> tuple[Path, Path] | None:
    """Return the programs of registry and cosign, put into `folder` unless they are installed; None if impossible."""
    found = [_program(name, folder) for name in ("docker-registry", "cosign")]
    return (found[0], found[1]) if found[0] and found[1] else None


def _program(name: str, folder: Path) -> Path | None:
    if installed := shutil.which(name):
        return Path(installed)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    for suite in _SUITES:
        work = folder / f"{name}-{suite}"
        work.mkdir(parents=True)
        env = _only(suite, work) if suite else dict(os.environ)
        # Who is not root cannot update the machine's own lists; they may do as they are.
        for command in (["apt-get", "update"], ["apt-get", "download", name]):
            done = subprocess.run(command, cwd=work, env=env, capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["dpkg-deb", "-x", next(work.glob("*.deb")), work / "root"], check=True)
            return work / "root/usr/bin" / name
    return None


def _only(suite: str, work: Path) -> dict[str, str]:
    """Return an environment in which apt-get knows one suite of this machine's mirror, and has its state in `work`."""
    for name in ("lists/partial", "archives/partial"):
        (work / name).mkdir(parents=True)
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    mirrors = subprocess.run(targets, capture_output=True, text=True, check=False).stdout.split()
    mirror = next((each for each in mirrors if "security" not in each), "")
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "sources.list").write_text(f"deb [signed-by={keys}] {mirror} {suite} main\n")
    (work / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{work}/sources.list"; Dir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{work}/lists"; Dir::Cache "{work}";\n'
    )
    return {**os.environ, "APT_CONFIG": str(work / "apt.conf")}


@contextmanager
def running(registry: Path, folder: Path) -> Iterator[str]:
    """Yield the address of an empty registry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "registry.yml").write_text(_REGISTRY.format(folder=folder / "stored", port=port))
    command = [str(registry), "serve", str(folder / "registry.yml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until_it_answers(f"http://127.0.0.1:{port}/v2/")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
