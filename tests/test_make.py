"""The first minute on a fresh machine: what make says when something is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from baking import ROOT, TEMPLATE

INSTALL_UV = TEMPLATE / "dev" / "install_uv.sh"
MAKEFILES = [pytest.param(ROOT, id="template"), pytest.param(TEMPLATE, id="service")]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH with a shell's tools and nothing else."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("sh", "env", "rm", "grep", "tail", "mkdir", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (bin_ / name).symlink_to(found)
    return bin_


def test_without_python_one_line_says_what_is_needed(machine: Path, tmp_path: Path) -> None:
    """On a machine without Python the command ends with one line that names the way out."""
    result = _install(machine, tmp_path)

    assert result.returncode == 1
    assert (
        result.stderr == "error: no Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3\n"
    )


def test_an_old_python_is_passed_over(machine: Path, tmp_path: Path) -> None:
    """A python3 that is too old counts as none."""
    _script(machine / "python3", "exit 1")

    result = _install(machine, tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("error: no Python 3.11 or newer found.")


def test_a_named_python_that_is_too_old_is_refused(machine: Path, tmp_path: Path) -> None:
    """PYTHON=... is obeyed or refused, never replaced by another one."""
    _script(machine / "old", "exit 1")

    result = _install(machine, tmp_path, PYTHON="old")

    assert result.returncode == 1
    assert result.stderr == "error: PYTHON=old is not Python 3.11 or newer.\n"


def test_a_python_without_venv_names_the_package(machine: Path, tmp_path: Path) -> None:
    """Debian's python3 without python3-venv: the line names the package to install."""
    _script(
        machine / "python3",
        """case "$2" in
            *sys.exit*) exit 0 ;;
            *sys.executable*) echo python3 ;;
            *version_info*) echo 3.12 ;;
            *) exit 1 ;;
        esac""",
    )

    result = _install(machine, tmp_path)

    assert result.returncode == 1
    assert result.stderr == "error: python3 has no venv module. On Debian and Ubuntu: apt-get install python3.12-venv\n"


def test_without_network_one_line_says_so(tmp_path: Path) -> None:
    """When pip reaches nothing, the line says so and gives pip's reason, and the next run starts afresh."""
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
    }

    result = _install(Path(os.environ["PATH"]), tmp_path, **nowhere)

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "pip could not install uv: no network" in result.stderr
    assert not (tmp_path / "tools" / "bin" / "uv").exists()


def test_the_private_folder_may_have_spaces_in_its_path(tmp_path: Path, uv: str) -> None:
    """A service in a folder with spaces in its name finds its tools."""
    folder = tmp_path / "my services" / "order service"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (folder / ".tools" / "bin").mkdir(parents=True)
    (folder / ".tools" / "bin" / "uv").symlink_to(uv)

    result = subprocess.run(["make", "--dry-run", "lint"], cwd=folder, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert ".venv/bin/ruff check ." in result.stdout
    assert "install_uv.sh" not in result.stdout


@pytest.mark.parametrize("folder", MAKEFILES)
def test_help_lists_every_target(folder: Path) -> None:
    """`make` alone prints each target with a sentence, without installing anything."""
    makefiles = [folder / "Makefile", *folder.glob("deploy/*/targets.mk")]
    phony = [re.findall(r"^\.PHONY: (.+)$", path.read_text(), re.MULTILINE)[0] for path in makefiles]
    targets = " ".join(phony).split()

    result = subprocess.run(["make", "--no-print-directory"], cwd=folder, capture_output=True, text=True, check=True)

    listed = re.findall(r"^  make ([a-z-]+) +\S", result.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(targets)
    assert len(result.stdout.splitlines()) == len(targets)


def _install(path: Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell is not None
    return subprocess.run(
        [shell, INSTALL_UV, str(folder / "tools")],
        env={"PATH": str(path), "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/usr/bin/env sh\n{body}\n")
    path.chmod(0o755)
