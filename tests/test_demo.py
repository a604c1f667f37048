"""What the README promises first: `make demo`."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import LEFTOVERS, ROOT

pytestmark = pytest.mark.xdist_group("service")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder outside pytest's own, which pytest makes private again while PostgreSQL runs in it as `nobody`."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-demo-") as name:
        yield Path(name)


def test_demo_makes_a_service_and_walks_through_it(folder: Path, uv: str, figure: Callable[[str], None]) -> None:
    """`make demo` in a clone bakes, installs, starts and shows every step, under the service's own name."""
    clone = folder / "plimsoll"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".git", ".bake", *LEFTOVERS))
    _equip(clone, Path(uv))
    started = time.perf_counter()

    result = _make("demo", clone)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 steps, each shown as claimed" in result.stdout
    assert '"service":"order-service"' in re.sub(r"\s", "", result.stdout)
    assert (clone / ".bake" / "demo" / "order-service" / "README.md").exists()
    figure(f"`make demo WALK=--exit`, packages in uv's cache: {time.perf_counter() - started:.0f} s")


def _equip(clone: Path, uv: Path) -> None:
    """Give `clone` what `make setup` would: uv, and the cookiecutter of this run."""
    tools, programs = clone / ".tools" / "bin", clone / ".venv" / "bin"
    tools.mkdir(parents=True)
    programs.mkdir(parents=True)
    for name in ("uv", "python"):
        (tools / name).symlink_to(uv.parent / name)
    (programs / "cookiecutter").symlink_to(Path(sys.executable).parent / "cookiecutter")
    (clone / ".venv" / ".synced").touch()


def _make(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", target, "WALK=--exit"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
