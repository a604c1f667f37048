"""What the README promises first: `make demo`."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import ROOT

pytestmark = pytest.mark.xdist_group("service")


def test_demo_of_a_service_shows_its_walk(equipped: Path, figure: Callable[[str], None]) -> None:
    """A service from the default answers walks through its five requests under its own name, and stops when told to."""
    started = time.perf_counter()

    result = _make("demo", "WALK=--exit", folder=equipped)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 steps, each shown as claimed" in result.stdout
    assert '"service":"order-service"' in result.stdout
    figure(f"`make demo WALK=--exit` of a service that is installed: {time.perf_counter() - started:.0f} s")


def test_demo_of_the_template_is_that_of_a_new_service() -> None:
    """The template's `make demo` makes a service, and runs the service's own with the same WALK."""
    result = _make("--dry-run", "demo", "WALK=--exit", folder=ROOT)

    assert result.returncode == 0, result.stderr
    assert "--output-dir .bake/demo" in result.stdout
    assert "-C .bake/demo/order-service" in result.stdout


def _make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
