"""`make lint` is red for each thing that it is there for: style, types, floors. Security is in test_sast.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev.environment import ROOT


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment."""
    command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    env = {**os.environ, "PYTHONPATH": str(folder / "src")}  # before what is installed
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_style_is_held(tmp_path: Path) -> None:
    """What the formatter would change is a failure."""
    (tmp_path / "planted.py").write_text("x = {'a':1}\n")

    found = run(tmp_path, "ruff", "format", "--no-cache", "--check", "--config", str(ROOT / "pyproject.toml"), ".")

    assert found.returncode == 1
    assert "planted.py" in found.stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param('count: int = ""\n', "Incompatible types in assignment", id="wrong type"),
        pytest.param("def f(x):\n    return x\n", "missing a type annotation", id="no type"),
        pytest.param("import yaml\nx: int = 1  # type: ignore\n", "unused", id="an excuse that excuses nothing"),
    ],
)
def test_types_are_held(tmp_path: Path, code: str, said: str) -> None:
    """As strictly as pyproject.toml says."""
    (tmp_path / "planted.py").write_text(code)
    settings = (ROOT / "pyproject.toml").read_text().replace('files = ["src", "tests", "dev", "migrations"]', "")
    (tmp_path / "pyproject.toml").write_text(settings)

    found = run(tmp_path, "mypy", "--cache-dir", str(tmp_path / "cache"), "planted.py")

    assert found.returncode == 1
    assert said in found.stdout


@pytest.mark.parametrize(
    ("place", "line", "contract"),
    [
        pytest.param("kit/clock.py", "import app.settings", "four floors", id="upwards"),
        pytest.param("patterns/health.py", "import app.patterns.metrics", "patterns never", id="between patterns"),
        pytest.param("orders/models.py", "import app.orders.service", "inside a domain", id="within a domain"),
    ],
)
def test_floors_are_held(tmp_path: Path, place: str, line: str, contract: str) -> None:
    """An import that goes the wrong way breaks the contract that forbids it."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "src/app" / place
    planted.write_text(f"{line}\n{planted.read_text()}")

    found = run(tmp_path, "lint-imports", "--no-cache")

    assert found.returncode == 1
    assert [row for row in found.stdout.splitlines() if row.startswith(contract) and row.endswith("BROKEN")] != []
