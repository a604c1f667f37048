"""Mistakes in GitLab's files are named."""

import re
from pathlib import Path

import pytest

from dev.delivery.ci import gitlab
from dev.delivery.issues import NotOpened, open_once
from dev.environment import ROOT
from dev.http_server import serving
from tests.support.issue_tracker import IssueTracker

MISTAKES = {
    "a key that does not exist": ("job: {script: [make lint], timeuot: 5 minutes}", "timeuot"),
    "a rule of the wrong kind": ("job: {script: [make lint], rules: [{when: sometimes}]}", "sometimes"),
    "a cache without paths of the right kind": ("job: {script: [make lint], cache: {paths: 5}}", "paths"),
    "an image without a version": ("job: {script: [make lint], image: python}", "python has no version"),
    "the newest image": (
        "job: {script: [make lint], services: [{name: 'docker:latest'}]}",
        "docker:latest has no version",
    ),
    "what is no YAML": ("job: [", "Failed to parse"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is said of each file with a mistake; all but the last, which nobody can read, are looked at together."""
    root = tmp_path_factory.mktemp("repository")
    (root / ".gitlab").mkdir()
    for number, (text, _) in enumerate(MISTAKES.values()):
        (root / f".gitlab/{number}.yml").write_text(f"{text}\n")
    (root / "renovate.json").write_text('{"extends": ["config:recommended"], "minimumReleaseAge": 7}')
    broken = root / f".gitlab/{len(MISTAKES) - 1}.yml"
    errors = list(gitlab.look_at_schemas(root))
    broken.unlink()
    errors += gitlab.look(root)
    by_file = {name: [line for line in errors if f".gitlab/{at}.yml" in line] for at, name in enumerate(MISTAKES)}
    return by_file | {"renovate": [line for line in errors if "renovate" in line]}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(said: dict[str, list[str]], mistake: str) -> None:
    """With its file."""
    assert [line for line in said[mistake] if MISTAKES[mistake][1] in line] != []


def test_a_mistake_in_renovates_file_is_named(said: dict[str, list[str]]) -> None:
    """Here: a number where days have a unit."""
    assert [line for line in said["renovate"] if "minimumReleaseAge" in line] != []


def test_nothing_is_said_of_the_files_here() -> None:
    """So what is said of the others is said of their mistakes."""
    assert list(gitlab.look(ROOT)) == []


def test_jobs_have_what_they_extend(tmp_path: Path) -> None:
    """Hidden ones are no jobs, and a job's own words go before those of what it extends."""
    (tmp_path / ".gitlab-ci.yml").write_text(
        ".base: {timeout: 5 minutes, script: [make test]}\n"
        ".more: {extends: .base}\n"
        "a: {extends: .more, script: [make lint]}\n"
        "b: {extends: [.base]}\n"
        'c: {script: ["make scan\\nmake sbom"]}\n'
    )

    read = [(job.name, job.targets, job.ends) for job in gitlab.jobs(tmp_path)]

    assert read == [("a", ["lint"], True), ("b", ["test"], True), ("c", ["scan", "sbom"], False)]


def test_an_issue_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds one with the title opens no other; a token that is refused is told."""
    tracker = IssueTracker("/projects/7/issues", {"PRIVATE-TOKEN": "of-the-job"}, shown_as="web_url")
    with serving(tracker.app()) as url:

        def opened(title: str, given: str = "of-the-job") -> str:
            for name, value in {"CI_API_V4_URL": url, "CI_PROJECT_ID": "7", "ISSUES_TOKEN": given}.items():
                monkeypatch.setenv(name, value)
            return open_once(title, "- what was found")

        said = [opened("Drift (1)"), opened("Drift (1)"), opened("Drift (2)")]
        with pytest.raises(NotOpened, match="401"):
            opened("Drift (3)", "of-somebody-else")

    assert said == [
        "opened https://example.com/1",
        "an issue with this title is open already",
        "opened https://example.com/2",
    ]
    assert tracker.issues[0] == {"title": "Drift (1)", "description": "- what was found"}


def test_a_page_tells_of_each_variable() -> None:
    """Whatever the jobs take from outside."""
    files = "\n".join(path.read_text() for path in (ROOT / ".gitlab-ci.yml", *(ROOT / ".gitlab").glob("*.yml")))
    given = {*re.findall(r"^ +(?:- )?([A-Z_]+):", files, re.MULTILINE)}
    needed = {name for name in re.findall(r"\$\{?([A-Z][A-Z_]+)", files) if not name.startswith("CI_")} - given

    assert {"REGISTRY", "CLUSTER"} <= needed
    assert needed <= {
        name for page in (ROOT / "docs").glob("*.md") for name in re.findall(r"`([A-Z_]+)`", page.read_text())
    }
