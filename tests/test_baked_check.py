"""A service passes its own checks on the day it is born."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bakery

pytestmark = pytest.mark.xdist_group("service")


def test_make_check_passes(equipped: Path, figure: Callable[[str], None]) -> None:
    """`make check` of a service from the default answers is green: style, types, contracts and tests."""
    started = time.perf_counter()

    result = _make("check", equipped)

    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    figure(f"`make check` of a service: {time.perf_counter() - started:.0f} s")


def test_make_lint_passes_with_unusual_answers(bakery: Bakery, equipped: Path) -> None:
    """Quotes, accents and another choice everywhere: the service installs, builds and is clean.

    Its Python is that of the default answers, byte for byte (test_rendering), so its tests need no second run.
    """
    service = bakery.bake(
        project_name='Commandés & "Co" \\ #1',
        project_slug="commandes",
        description="Prend <des> commandes: 100 % ${sûr}",
        licence="Proprietary",
        ci="gitlab",
        cloud="none",
    )
    (service / ".tools").symlink_to(equipped / ".tools")

    result = _make("lint", service)

    assert result.returncode == 0, result.stdout + result.stderr
    installed = next((service / ".venv").glob("lib/python*/site-packages/commandes-*.dist-info/METADATA")).read_text()
    assert "Summary: Prend <des> commandes: 100 % ${sûr}" in installed


def _make(target: str, service: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", target, "JOBS=2"]
    return subprocess.run(command, cwd=service, capture_output=True, text=True, check=False, timeout=1800)
