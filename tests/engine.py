"""Something that builds and runs images: Docker or podman of the machine, or podman out of Debian's packages.

The last one is unpacked into a folder and installs nothing; as no image can be pulled there, it makes its own base.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

_PACKAGES = (
    *("buildah", "conmon", "debootstrap", "podman", "runc"),
    *("libassuan0", "libdevmapper1.02.1", "libgpgme11", "libsubid4"),
)
_BASE = "localhost/python-base"
_BASE_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_CONFIG = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]
volumes = ["/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
conmon_path = ["{root}/usr/bin/conmon"]
[engine.runtimes]
runc = ["{root}/usr/sbin/runc"]
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


class Engine:
    """One of them. `base` is the image to build on; None for the one that the Dockerfile names."""

    def __init__(self, program: str, *, env: Mapping[str, str] | None = None, base: str | None = None) -> None:
        self.program = program
        self.env = {**os.environ, **(env or {})}
        self.base = base

    def __call__(self, *words: str, check: bool = True, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command of it, such as `build`."""
        done = subprocess.run(
            [self.program, *words], env=self.env, capture_output=True, text=True, check=False, timeout=seconds
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


def find(folder: Path) -> Engine | None:
    """Return the machine's own, or one that is put into `folder`; None if neither is possible."""
    for program in ("docker", "podman"):
        if (
            shutil.which(program)
            and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0
        ):
            return Engine(program)
    if os.geteuid() != 0 or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    packages, root = folder / "packages", folder / "root"
    packages.mkdir(parents=True)
    for command in (["apt-get", "update"], ["apt-get", "download", *_PACKAGES]):
        if subprocess.run(command, cwd=packages, capture_output=True, check=False).returncode != 0:
            return None
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    engine = _podman(folder, root)
    _make_base(engine, folder / "base", root)
    return engine


def until_it_answers(url: str) -> None:
    """Return when what was just started answers with success."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def _podman(folder: Path, root: Path) -> Engine:
    policy = folder / "home" / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (folder / "containers.conf").write_text(_CONFIG.format(root=root))
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
    env = {
        "HOME": str(folder / "home"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu",
        "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
    }
    return Engine(str(root / "usr/bin/podman"), env=env, base=_BASE)


def _make_base(engine: Engine, base: Path, root: Path) -> None:
    include = "--include=ca-certificates,python3,python3-venv"
    env = {**os.environ, "DEBOOTSTRAP_DIR": str(root / "usr/share/debootstrap")}
    command = [str(root / "usr/sbin/debootstrap"), "--variant=minbase", include, "bookworm", str(base)]
    subprocess.run(command, env=env, capture_output=True, check=True, timeout=600)
    archive = base.with_suffix(".tar")
    left_out = ("--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists")
    subprocess.run(["tar", "-C", str(base), *left_out, "-cf", str(archive), "."], check=True)
    engine("import", "--change", f"ENV PATH={_BASE_PATH}", str(archive), _BASE)
    archive.unlink()
