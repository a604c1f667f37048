"""The folder in the template is the program: linters and type checker accept it as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from baking import TEMPLATE, files

PYTHON = [path for path in files(TEMPLATE) if path.suffix == ".py"]
MAX_LINES = 300

pytestmark = pytest.mark.xdist_group("service")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "format", "--no-cache", "--check", "."], id="ruff format"),
        pytest.param(["ruff", "check", "--no-cache", "."], id="ruff check"),
        pytest.param(["mypy", "--cache-dir={tmp}"], id="mypy"),
        pytest.param(["lint-imports", "--no-cache"], id="import contracts"),
        pytest.param(["python", "-m", "dev.migration_lint"], id="migrations"),
    ],
)
def test_the_unbaked_folder_is_clean(equipped: Path, tmp_path: Path, command: list[str]) -> None:
    """Each checker of `make lint`, run inside the template's folder, finds nothing and leaves nothing there."""
    before = set(TEMPLATE.rglob("*"))
    tool, *arguments = [part.format(tmp=tmp_path) for part in command]

    result = subprocess.run(
        [equipped / ".venv" / "bin" / tool, *arguments],
        cwd=TEMPLATE,
        env={**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert set(TEMPLATE.rglob("*")) == before


def test_make_lint_runs_the_same_checkers() -> None:
    """The list above is the one of the service's Makefile."""
    recipe = (TEMPLATE / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]

    assert re.findall(r"\$\(RUN\)/(.+)", recipe) == [
        "ruff format --check .",
        "ruff check .",
        "mypy",
        "lint-imports",
        "python -m dev.migration_lint",
    ]


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_a_module_is_short(path: Path) -> None:
    """No module is longer than a reader's patience."""
    assert len((TEMPLATE / path).read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_python_holds_no_jinja(path: Path) -> None:
    """Python is copied raw, so a variable of the template in it would stay there."""
    text = (TEMPLATE / path).read_text()

    assert "cookiecutter" not in text
    assert "{%" not in text
