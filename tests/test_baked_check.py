"""A service passes its own checks on the day it is born."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import ROOT, Bakery

pytestmark = pytest.mark.xdist_group("service")


def test_what_is_expensive_is_made_once(request: pytest.FixtureRequest) -> None:
    """Groups of tests stay in one process: a pytest that xdist does not know yet would spread them without a word."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@service")


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


@pytest.mark.parametrize(("ci", "cloud"), [("gitlab", "aws"), ("both", "none"), ("github", "none")])
def test_what_is_delivered_is_sound_for_every_choice(bakery: Bakery, equipped: Path, ci: str, cloud: str) -> None:
    """Pipelines and manifests pass their gates with another choice, too; the default's are tested in `make check`."""
    service = bakery.bake(ci=ci, cloud=cloud)
    assert _make("delivery-tools", equipped).returncode == 0

    for gate in ("pipelines", "check_manifests"):
        result = subprocess.run(
            [equipped / ".venv/bin/python", "-m", f"dev.delivery.{gate}"],
            cwd=service,
            env={**os.environ, "PYTHONPATH": f"{service}:{service / 'src'}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_the_templates_own_workflow_is_sound(equipped: Path) -> None:
    """It is held to what the workflows of a service are held to."""
    assert _make("delivery-tools", equipped).returncode == 0
    code = "import sys, pathlib; from dev.delivery.ci import github; print(*github.look(pathlib.Path(sys.argv[1])))"

    result = subprocess.run(
        [equipped / ".venv/bin/python", "-c", code, str(ROOT)],
        cwd=equipped,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert (result.returncode, result.stdout) == (0, "\n"), result.stdout + result.stderr


def _make(target: str, service: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", target, "JOBS=2"]
    return subprocess.run(command, cwd=service, capture_output=True, text=True, check=False, timeout=1800)
