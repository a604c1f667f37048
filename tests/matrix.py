"""A service's checks on every Python of this machine, with both ends of its dependency ranges.

`make test-matrix` runs this; `make test` does not, it takes minutes for each Python.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bakery

_NEWEST = 20


def interpreters() -> dict[str, str]:
    """Return `3.12 -> path` for every working CPython >= 3.11 in PATH and in pyenv's folder."""
    versions = Path(os.environ.get("PYENV_ROOT", Path("~/.pyenv").expanduser())) / "versions"
    found: dict[str, str] = {}
    for minor in range(11, _NEWEST):
        name = f"python3.{minor}"
        candidates = [shutil.which(name), *sorted(map(str, versions.glob(f"3.{minor}.*/bin/{name}")))]
        for path in filter(None, candidates):
            probe = "import sys, venv, ensurepip; print(sys.implementation.name)"
            result = subprocess.run([path, "-c", probe], capture_output=True, text=True, check=False)
            if result.stdout.strip() == "cpython":
                found[f"3.{minor}"] = path
    return found


PYTHONS = interpreters()


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
@pytest.mark.parametrize("version", PYTHONS)
def test_make_check_passes(bakery: Bakery, version: str, resolution: str, figure: Callable[[str], None]) -> None:
    """`make check` is green with this Python and these versions of the dependencies."""
    service = bakery.bake()

    result = subprocess.run(
        ["make", "check", "JOBS=2"],
        cwd=service,
        env={**os.environ, "PYTHON": PYTHONS[version], "UV_RESOLUTION": resolution},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert (service / ".venv" / "lib" / f"python{version}").is_dir()
    figure(f"Python {version}, {resolution}: {result.stdout.strip().splitlines()[-1].strip('= ')}")
