"""Runbooks: each alert has one, each command in one exists, and a mistake is told with its line."""

import re
import shutil
from pathlib import Path

import pytest

from dev.ops import runbooks, slos
from dev.ops.alerts import read
from dev.ops.lines import BadSource
from dev.ops.pages import names

ALERTS = names(read(slos.read()), slos.read())
# A change of ServiceDown's, and what is told of it.
MISTAKES = {
    "a command that does not exist": (
        'kubectl --namespace "$service" get pods\n',
        "app outbox lst\n",
        "no such command: app outbox lst: argument action: invalid choice: 'lst'",
    ),
    "an option that does not exist": (
        'kubectl --namespace "$service" get pods\n',
        "app outbox list --all-of-them\n",
        "no such command: app outbox list --all-of-them: unrecognized arguments: --all-of-them",
    ),
    "a command of the platform that nobody knows": (
        'kubectl --namespace "$service" get pods\n',
        "kubectl delete namespace orders\n",
        "no such command of the platform: kubectl delete namespace orders",
    ),
    "a deployment that does not exist": (
        "rollout restart deployment/http\n",
        "rollout restart deployment/web\n",
        'no such command of the platform: kubectl --namespace "$service" rollout restart deployment/web',
    ),
    "a metric that nobody exposes": ("min by (service) (up{", "min by (service) (uptime{", "nothing exposes uptime"),
    "a label that was renamed": (
        'http_server_request_duration_seconds_count{service="$service"}',
        'http_server_request_duration_seconds_count{service="$service", route="/v1/orders"}',
        "http_server_request_duration_seconds_count has no label route, but http_request_method,",
    ),
    "no PromQL": (
        '{job="http", service="$service"}) == 0',
        '{job="http", service="$service") == 0',
        "it is no PromQL:",
    ),
    "a section that is missing": ("## Escalate\n", "## Ask\n", "its sections are Meaning, Impact,"),
    "an unknown kind of block": ("```sh\n", "```console\n", "a block is one of promql, sql, sh, and not console"),
    "an unknown word after the kind": (
        "```sh\n",
        "```sh maybe\n",
        "a block says perhaps, fails or nothing, and not maybe",
    ),
}


def test_each_alert_has_a_runbook() -> None:
    """And each runbook an alert, and every query and command in one exists."""
    runbooks.check(ALERTS)

    assert sorted(path.stem for path in runbooks.FOLDER.glob("*.md")) == sorted(ALERTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of all runbooks."""
    return Path(shutil.copytree(runbooks.FOLDER, tmp_path / "runbooks"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line(folder: Path, mistake: str) -> None:
    """Which runbook, which line, and why."""
    before, after, told = MISTAKES[mistake]
    path = folder / "ServiceDown.md"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    with pytest.raises(BadSource) as raised:
        runbooks.check(ALERTS, folder)

    lines = str(raised.value).splitlines()
    assert told in lines[0]
    assert [line for line in lines if not re.match(r"ServiceDown\.md:\d+: ", line)] == []


def test_a_runbook_that_is_missing_is_named(folder: Path) -> None:
    """By its alert."""
    (folder / "OutboxLagging.md").unlink()

    with pytest.raises(BadSource, match="OutboxLagging has no runbook"):
        runbooks.check(ALERTS, folder)


def test_a_runbook_for_nothing_is_named(folder: Path) -> None:
    """An alert that was renamed leaves none behind."""
    (folder / "OutboxLagging.md").rename(folder / "OutboxSlow.md")

    with pytest.raises(BadSource, match=r"OutboxLagging has no runbook\n.*there is no alert OutboxSlow"):
        runbooks.check(ALERTS, folder)


def test_a_section_that_says_nothing_is_named(folder: Path) -> None:
    """An empty Escalate helps nobody at night."""
    path = folder / "ServiceDown.md"
    path.write_text(path.read_text().partition("## Escalate\n")[0] + "## Escalate\n")

    with pytest.raises(BadSource, match="Escalate says nothing"):
        runbooks.check(ALERTS, folder)


def test_what_cannot_be_executed_is_no_diagnosis(folder: Path) -> None:
    """Diagnosis and Verify have a block each."""
    path = folder / "WorkerDown.md"
    head, _, verify = path.read_text().partition("## Verify\n")
    path.write_text(f"{head}## Verify\n\nIt works.\n\n## Escalate{verify.partition('## Escalate')[2]}")

    with pytest.raises(BadSource, match="Verify has nothing to execute"):
        runbooks.check(ALERTS, folder)
