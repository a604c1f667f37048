"""A service's checks on every Python of this machine, with both ends of its dependency ranges.

`make test-matrix` runs this; `make test` does not, it takes minutes for each Python.
"""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import ROOT, Bakery

# A virtual environment is its base once more; builds without the GIL have no wheels of some dependencies yet.
_PROBE = """
import os, platform, sys, sysconfig, venv, ensurepip
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython" and sys.prefix == sys.base_prefix:
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        print(platform.python_version(), os.path.realpath(sys.executable))
"""


def interpreters() -> dict[str, str]:
    """Return `3.12.1 -> path` for every CPython >= 3.11 in PATH, of pyenv and of uv that can make an environment."""
    found: dict[str, str] = {}
    for path in _candidates():
        result = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, check=False)
        if result.returncode == 0 and result.stdout:
            version, executable = result.stdout.split(maxsplit=1)
            found.setdefault(version, executable.strip())
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".") if part.isdigit()]))


def _candidates() -> Iterator[Path]:
    folders = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path("~/.pyenv").expanduser())) / "versions"
    folders += sorted(pyenv.glob("3.*/bin"))
    for folder in folders:
        yield from (path for path in sorted(folder.glob("python3*")) if path.name.removeprefix("python3.").isdigit())
    uv = shutil.which("uv", path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if uv is not None:
        command = [uv, "python", "list", "--only-installed", "--output-format", "json"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        yield from (Path(python["path"]) for python in json.loads(listed.stdout) if python["path"])


PYTHONS = interpreters()


def test_the_interpreter_of_these_tests_is_among_them() -> None:
    """The search finds at least the Python that it runs on, so an empty matrix is no success."""
    assert platform.python_version() in PYTHONS


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
    assert f"version_info = {version}\n" in (service / ".venv" / "pyvenv.cfg").read_text()
    figure(f"Python {version}, {resolution}: {result.stdout.strip().splitlines()[-1].strip('= ')}")
