"""`make terraform` is red for each of its parts, and without terraform; the real one is run by the template's tests."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.delivery.terraform import __main__ as checks
from dev.delivery.terraform import policy
from dev.delivery.terraform.program import TerraformFailed, environment_variables, terraform

FAILS = """#!/bin/sh
case "$1" in
  {word}) echo "{word} found a mistake"; exit {status} ;;
esac
"""
Fake = Callable[[str, int], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return a function that makes a terraform of which one command fails; trivy finds nothing."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugins"))
    monkeypatch.setattr(policy, "mistakes", lambda _folder: [])

    def make(word: str, status: int) -> None:
        (tmp_path / "terraform").write_text(FAILS.format(word=word, status=status))
        (tmp_path / "terraform").chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("word", "status", "part"),
    [
        pytest.param("fmt", 3, "format", id="format"),
        pytest.param("init", 1, "valid: production", id="plugins that cannot be had"),
        pytest.param("validate", 1, "valid: shared", id="validity"),
        pytest.param("test", 1, "tests", id="tests"),
    ],
)
def test_a_part_that_fails_is_red(
    fake: Fake, capsys: pytest.CaptureFixture[str], word: str, status: int, part: str
) -> None:
    """It is named, with what terraform said; the others are looked at all the same."""
    fake(word, status)

    assert checks.main() == 1

    said = capsys.readouterr().out
    assert f"FAILED  {part}\n" in said
    assert f"{word} found a mistake" in said
    assert "ok      policy\n" in said


def test_all_parts_are_green(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    """Format, three environments, tests and policy."""
    fake("nothing", 0)

    assert checks.main() == 0
    assert capsys.readouterr().out.count("ok      ") == 6


def test_a_broken_rule_is_red(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What trivy finds counts as well."""
    fake("nothing", 0)
    monkeypatch.setattr(policy, "mistakes", lambda _folder: ["main.tf: AWS-0001: something"])

    assert checks.main() == 1


def test_without_terraform_it_is_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was checked, which is said, and is no success."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(policy, "mistakes", lambda _folder: [])

    assert checks.main() == 1
    assert "terraform is not installed" in capsys.readouterr().out


def test_settings_that_are_not_there_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of settings that is gone is left out; terraform would complain at each call."""
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugins"))
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "nowhere"))
    assert "TF_CLI_CONFIG_FILE" not in environment_variables()

    (tmp_path / "nowhere").write_text("")
    assert environment_variables()["TF_CLI_CONFIG_FILE"] == str(tmp_path / "nowhere")


def test_a_failure_says_where(fake: Fake, tmp_path: Path) -> None:
    """Which command, in which folder, and its own words."""
    fake("plan", 1)

    with pytest.raises(TerraformFailed, match=f"terraform plan, in {tmp_path.name}:\nplan found a mistake"):
        terraform("plan", cwd=tmp_path)


def test_terraform_that_hangs_has_failed(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error like any other."""
    fake("nothing", 0)

    def hangs(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr("dev.delivery.terraform.program.subprocess.run", hangs)
    with pytest.raises(TerraformFailed, match=f"terraform plan, in {tmp_path.name}: not done after half an hour"):
        terraform("plan", cwd=tmp_path)
