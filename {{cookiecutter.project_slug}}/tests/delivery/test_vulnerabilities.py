"""A vulnerable package stops a release, unless an exception says why not, and until when."""

import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.delivery.tools import run
from dev.environment import ROOT
from tests.support import trivy_database

CONFIG = ROOT / "deploy/scan/trivy.yaml"
EXCEPTIONS = ROOT / "deploy/scan/exceptions.yaml"
LONGEST = timedelta(days=90)
LOCK = """\
version = 1
[[package]]
name = "service"
version = "1.0"
source = { virtual = "." }
dependencies = [{ name = "pillow" }]
[package.optional-dependencies]
s3 = [{ name = "boto3" }]
[[package]]
name = "pillow"
version = "11.0"
source = { registry = "https://packages.example" }
[[package]]
name = "boto3"
version = "1.40"
source = { registry = "https://packages.example" }
"""
EXCEPTION = {
    "id": "CVE-2026-1000",
    "purls": ["pkg:pypi/pillow"],
    "statement": "for images that users upload, which this service does not take",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lock file of two packages, and what `make audit` reads."""
    (tmp_path / "deploy/scan").mkdir(parents=True)
    (tmp_path / "deploy/scan/trivy.yaml").write_text(CONFIG.read_text())
    (tmp_path / "deploy/scan/exceptions.yaml").write_text(EXCEPTIONS.read_text())
    (tmp_path / "uv.lock").write_text(LOCK)
    return tmp_path


def audit(folder: Path, **vulnerable: tuple[str, str]) -> "subprocess.CompletedProcess[str]":
    """Do what `make audit` does, with these vulnerabilities known."""
    trivy_database.write(folder / "cache", **vulnerable)
    cache = ("--cache-dir", str(folder / "cache"), "--skip-db-update", "--offline-scan")
    return run("trivy", "--config", "deploy/scan/trivy.yaml", "fs", "--scanners", "vuln", *cache, "uv.lock", cwd=folder)


def until(folder: Path, day: date) -> None:
    """Make an exception for pillow until `day`."""
    content = {"vulnerabilities": [{**EXCEPTION, "expired_at": day}]}
    (folder / "deploy/scan/exceptions.yaml").write_text(yaml.safe_dump(content))


def mistakes(exceptions: Any, today: date) -> list[str]:  # noqa: ANN401 - what YAML gives
    """Return what is wrong with a file of exceptions."""
    wrong = [f"{kind}: only vulnerabilities are excepted here" for kind in exceptions if kind != "vulnerabilities"]
    for exception in exceptions["vulnerabilities"]:
        name, day = exception.get("id"), exception.get("expired_at")
        if len(str(exception.get("statement", "")).split()) < 3:
            wrong.append(f"{name}: says no reason")
        if not exception.get("purls"):
            wrong.append(f"{name}: holds for every package")
        if not isinstance(day, date) or not today <= day <= today + LONGEST:
            wrong.append(f"{name}: ends on no day of the next {LONGEST.days}")
    return wrong


def test_without_known_vulnerabilities_it_passes(folder: Path) -> None:
    """Those of other packages, and of other versions, are nobody's here."""
    found = audit(folder, django=("CVE-2026-1", "< 99"), pillow=("CVE-2026-2", "< 11.0"))

    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("package", ["pillow", "boto3"])
def test_a_vulnerable_package_stops_a_release(folder: Path, package: str) -> None:
    """One of an extra, too: the image has the extras."""
    found = audit(folder, **{package: ("CVE-2026-1000", "< 99")})

    assert found.returncode == 1
    assert package in found.stdout
    assert "CVE-2026-1000" in found.stdout


def test_an_exception_lets_it_pass_until_its_day(folder: Path) -> None:
    """And for no other package."""
    until(folder, datetime.now(UTC).date() + timedelta(days=30))

    excepted = audit(folder, pillow=("CVE-2026-1000", "< 99"))
    (folder / "cache").rename(folder / "before")
    other = audit(folder, boto3=("CVE-2026-1000", "< 99"))

    assert (excepted.returncode, other.returncode) == (0, 1)


def test_an_exception_ends(folder: Path) -> None:
    """The day after, the vulnerability stops releases again."""
    until(folder, datetime.now(UTC).date() - timedelta(days=1))

    assert audit(folder, pillow=("CVE-2026-1000", "< 99")).returncode == 1


def test_a_database_that_cannot_be_had_is_not_clean(folder: Path) -> None:
    """Nothing was looked up, so nothing is known."""
    nowhere = ("--cache-dir", str(folder / "cache"), "--db-repository", "127.0.0.1:1/none")
    found = run(
        "trivy", "--config", "deploy/scan/trivy.yaml", "fs", "--scanners", "vuln", *nowhere, "uv.lock", cwd=folder
    )

    assert found.returncode != 0
    assert "FATAL" in found.stderr


def test_the_exceptions_here_are_good() -> None:
    """Each has a reason, a package and an end."""
    assert mistakes(yaml.safe_load(EXCEPTIONS.read_text()), datetime.now(UTC).date()) == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        pytest.param({"statement": ""}, "says no reason", id="no reason"),
        pytest.param({"purls": []}, "holds for every package", id="every package"),
        pytest.param({"expired_at": None}, "ends on no day", id="for ever"),
        pytest.param({"expired_at": date(2026, 7, 1)}, "ends on no day", id="for too long"),
        pytest.param({"expired_at": date(2025, 12, 31)}, "ends on no day", id="past"),
        pytest.param({"expired_at": date(2026, 4, 1)}, None, id="good"),
    ],
)
def test_a_bad_exception_is_noticed(change: dict[str, Any], wrong: str | None) -> None:
    """Trivy itself takes them all."""
    exception = {**EXCEPTION, "expired_at": date(2026, 2, 1), **change}

    found = mistakes({"vulnerabilities": [exception]}, date(2026, 1, 1))

    assert found == ([] if wrong is None else [f"CVE-2026-1000: {found[0].partition(': ')[2]}"])
    assert wrong is None or wrong in found[0]
