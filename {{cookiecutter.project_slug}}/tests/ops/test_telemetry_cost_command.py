"""`app telemetry-cost` as an operator meets it: beside the other commands, and independent of what they need."""

import subprocess
import sys

import pytest

from dev.environment import APP, ROOT, machine_variables
from dev.telemetry_policy.places import POLICY
from tests.support.exposing_process import ExposingProcess


def app(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `app` in an environment without a single setting of the service."""
    command = [*APP, *arguments]
    return subprocess.run(
        command, env=machine_variables(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_needs_no_settings(process: ExposingProcess) -> None:
    """It runs where the service itself could not: with an address and the policy, and nothing of the environment."""
    ended = app("telemetry-cost", "--url", process.url, "--seconds", "0.1", "--policy", str(POLICY))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "app: no requests between the two scrapes: send some, or wait longer with --seconds\n"


def test_the_command_explains_itself() -> None:
    """`app --help` lists it, and its own help lists its options and what its exit status means."""
    listed, explained = app("--help"), app("telemetry-cost", "--help")

    assert "telemetry-cost" in listed.stdout
    assert {"--url", "--seconds", "--rate", "--ratio", "--policy"} <= set(explained.stdout.split())
    assert "Exit status: 0 within budget, 1 over" in explained.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("serve", "--fast"), "unrecognized arguments: --fast"),
        (("migrate", "now"), "invalid choice: 'now'"),
        (("telemetry-cost", "--fast"), "unrecognized arguments: --fast"),
    ],
)
def test_an_unknown_argument_is_refused(words: tuple[str, ...], reason: str) -> None:
    """That one command has arguments of its own makes no other command accept any."""
    ended = app(*words)

    assert ended.returncode == 2
    assert reason in ended.stderr


def test_the_service_does_not_load_the_command() -> None:
    """What only an operator needs costs neither time nor memory in `app serve`."""
    code = "import sys, app.cli; print([name for name in sys.modules if name == 'yaml' or 'app.telemetry' in name])"

    ended = subprocess.run(
        [sys.executable, "-c", code], env=machine_variables(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"
