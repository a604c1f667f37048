"""A second resource, added as docs/adding-a-domain.md of the service says, touches nothing but what it may touch."""

import difflib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from baking import ROOT, TEMPLATE, Bakery, files

STEPS = ROOT / "tests" / "second_resource"
LINES: dict[str, list[dict[str, str]]] = tomllib.loads((STEPS / "lines.toml").read_text())
NEW = {str(path) for path in files(STEPS / "files")}
OLD, OURS = "  # domain: orders", "  # domain: customers"

pytestmark = pytest.mark.xdist_group("service")


@pytest.fixture(scope="session")
def extended(bakery: Bakery, equipped: Path) -> Path:
    """A service from the default answers, with customers added by the steps."""
    service = bakery.bake()
    (service / ".tools").symlink_to(equipped / ".tools")
    shutil.copytree(STEPS / "files", service, dirs_exist_ok=True)
    for name, steps in LINES.items():
        path = service / name
        path.write_text("\n".join(_with_twins(path.read_text().split("\n"), steps)))
    done = _run(service, "make", "format")
    assert done.returncode == 0, done.stdout + done.stderr
    return service


def test_only_new_files_and_marked_lines_are_touched(extended: Path, service: Path) -> None:
    """Customers are a folder, a migration, tests, and lines with their mark in existing files; nothing else changes."""
    before, after = ({str(path) for path in files(folder)} for folder in (service, extended))
    changed = {name for name in before & after if (service / name).read_bytes() != (extended / name).read_bytes()}
    difference = [line for name in sorted(changed) for line in _difference(service / name, extended / name)]

    assert after - before - {"uv.lock"} == NEW
    assert before - after == set()
    assert changed == set(LINES)
    assert [line for line in difference if not (line.startswith("+") and line.endswith(OURS))] == []
    assert {str(Path(name).parent) for name in NEW} == {"src/app/customers", "migrations/versions", "tests/customers"}


def test_the_instructions_name_the_files_that_are_touched() -> None:
    """Whoever follows the document finds every file in it, and no file that has no marked line."""
    document = (TEMPLATE / "docs" / "adding-a-domain.md").read_text()
    marked = {str(path) for path in files(TEMPLATE) if path.suffix in {".py", ".toml"} and _has_mark(TEMPLATE / path)}

    named = {line.split("`")[1] for line in document.splitlines() if line.startswith("| `")}
    assert set(LINES) <= named
    assert named == marked


def test_the_extended_service_is_clean(extended: Path) -> None:
    """Style, types and import contracts hold with two domains."""
    result = _run(extended, "make", "lint")

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_second_resource_answers_and_follows_the_rules(extended: Path) -> None:
    """Its own test over a socket passes, and so do the service's rules about code, tests and documents."""
    result = _run(extended, ".venv/bin/pytest", "-q", "tests/customers", "tests/architecture")

    assert result.returncode == 0, result.stdout + result.stderr


def test_domains_may_not_know_each_other(extended: Path, tmp_path: Path) -> None:
    """The lines in pyproject.toml are not decoration: an import from customers to orders breaks the contract."""
    broken = tmp_path / "broken"
    shutil.copytree(extended, broken, ignore=shutil.ignore_patterns(".*"))
    with (broken / "src" / "app" / "customers" / "events.py").open("a") as module:
        module.write("\nfrom app.orders.events import PLACED\n")

    result = _run(broken, "env", "PYTHONPATH=src", str(extended / ".venv" / "bin" / "lint-imports"), "--no-cache")

    assert result.returncode == 1
    assert "domains never import each other BROKEN" in result.stdout


def _with_twins(lines: list[str], steps: list[dict[str, str]]) -> list[str]:
    """Return `lines` with each new one below every marked line that it belongs to."""
    result = []
    pending = {step["below"] + OLD: step["insert"] + OURS for step in steps}
    for line in lines:
        result.append(line)
        if line.strip() in pending:
            indent = line[: len(line) - len(line.lstrip())]
            result.append(indent + pending[line.strip()])
    missing = [marked for marked in pending if marked not in {line.strip() for line in lines}]
    assert missing == [], "no such line: was its mark or its text changed?"
    return result


def _difference(before: Path, after: Path) -> list[str]:
    lines = difflib.ndiff(before.read_text().splitlines(), after.read_text().splitlines())
    return [line for line in lines if not line.startswith("  ")]


def _has_mark(path: Path) -> bool:
    return OLD in path.read_text()


def _run(service: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=service, capture_output=True, text=True, check=False, timeout=300)
