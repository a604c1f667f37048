"""Mistakes in GitLab's files are named."""

import json
import re
from pathlib import Path

import pytest
import yaml

from dev.delivery.ci import gitlab
from dev.delivery.issues import NotOpened, open_once
from dev.environment import ROOT
from dev.http_server import serving
from tests.support.issue_tracker import IssueTracker
from tests.support.needing_tools import WithTools

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


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("job: {script: [x], extends: .nobody}", ".nobody is unspecified", id="extends nobody"),
        pytest.param(
            "job: {script: [x], needs: [tset]}", "needs: [tset] for job could not be found", id="needs nobody"
        ),
        pytest.param("job: {script: [x], rules: [{if: $X =~ ^v}]}", "evaluate the following rules", id="a broken rule"),
        pytest.param("include: [{local: other.yml}]\njob: {script: [x]}", "other.yml", id="includes nothing"),
    ],
)
def test_what_refers_to_nothing_is_named(tmp_path: Path, text: str, mistake: str, with_tools: WithTools) -> None:
    """The schema knows each file alone, and no names."""
    (tmp_path / ".gitlab-ci.yml").write_text(f"{text}\n")

    (found,) = with_tools(lambda: list(gitlab.look(tmp_path)))

    assert mistake in found


CHECKS = {"audit", "container", "delivery", "lint", "migrations", "prove", "secrets", "test"}
KNOWN = CHECKS | {"drill", "mutants", "release-image", "staging", "production"}


@pytest.mark.parametrize(
    ("variables", "automatic", "by_hand"),
    [
        pytest.param({"CI_PIPELINE_SOURCE": "merge_request_event"}, CHECKS, set(), id="a merge request"),
        pytest.param(
            {"CI_COMMIT_TAG": "v1.4.0"}, CHECKS | {"release-image", "staging"}, {"production"}, id="a release"
        ),
        pytest.param({"CI_PIPELINE_SOURCE": "schedule"}, {"audit", "drill", "mutants"}, set(), id="each night"),
    ],
)
def test_what_runs_when(
    variables: dict[str, str], automatic: set[str], by_hand: set[str], with_tools: WithTools
) -> None:
    """By the rules of the files here, as GitLab reads them; some services have more."""
    runs = with_tools(lambda: gitlab.when(ROOT, **variables))

    assert runs.keys() >= KNOWN
    assert {name for name, when in runs.items() if when == "on_success"} & KNOWN == automatic
    assert {name for name, when in runs.items() if when == "manual"} == by_hand


def test_nothing_is_said_of_the_files_here(with_tools: WithTools) -> None:
    """So what is said of the others is said of their mistakes."""
    assert with_tools(lambda: list(gitlab.look(ROOT))) == []


def test_jobs_have_what_they_extend(tmp_path: Path) -> None:
    """Hidden ones are no jobs, and a job's own words go before those of what it extends."""
    (tmp_path / ".gitlab-ci.yml").write_text(
        ".base: {timeout: 5 minutes, script: [make test]}\n"
        ".more: {extends: .base}\n"
        "a: {extends: .more, script: [make lint]}\n"
        "b: {extends: [.base], timeout: 1 hour 30 minutes, after_script: [make audit]}\n"
        'c: {script: ["make scan\\nmake sbom"]}\n'
    )

    read = [(job.name, job.targets, job.minutes) for job in gitlab.jobs(tmp_path)]

    assert read == [("a", ["lint"], 5), ("b", ["test", "audit"], 90), ("c", ["scan", "sbom"], None)]


@pytest.mark.parametrize(
    ("written", "may_fail"),
    [
        pytest.param("allow_failure: true", True, id="the job"),
        pytest.param("allow_failure: {exit_codes: [2]}", True, id="with one status"),
        pytest.param("rules: [{if: $X, allow_failure: true}]", True, id="by a rule"),
        pytest.param("allow_failure: false", False, id="not"),
    ],
)
def test_a_job_that_may_fail_is_known(tmp_path: Path, written: str, may_fail: bool) -> None:  # noqa: FBT001 - the case
    """In each of the ways to say it."""
    (tmp_path / ".gitlab-ci.yml").write_text(f"job: {{script: [make lint], {written}}}\n")

    (job,) = gitlab.jobs(tmp_path)

    assert job.may_fail is may_fail


@pytest.mark.parametrize(
    ("written", "may_release"),
    [
        pytest.param("{stage: release, environment: x}", True, id="a later stage"),
        pytest.param("{stage: check, environment: x}", False, id="among them"),
        pytest.param("{stage: release, environment: x, needs: []}", False, id="waits for nothing"),
        pytest.param("{stage: release, environment: x, rules: [{when: always}]}", False, id="even if they fail"),
        pytest.param("stage: release", False, id="without an approval"),
    ],
)
def test_a_job_that_may_release_is_known(tmp_path: Path, written: str, may_release: bool) -> None:  # noqa: FBT001 - the case
    """A stage waits for those before it; an environment says who approves."""
    (tmp_path / ".gitlab-ci.yml").write_text(
        f"job: {json.dumps(yaml.safe_load(written) | {'script': ['make push']})}\n"
    )

    (job,) = gitlab.jobs(tmp_path)

    assert job.may_release is may_release


def test_a_run_is_known_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As GitLab tells it; outside of a job there is none."""
    monkeypatch.delenv("CI_JOB_URL", raising=False)
    nowhere = gitlab.this_run()
    project = "https://gitlab.example/team/service"
    for name, value in {"JOB_URL": f"{project}/-/jobs/7", "PROJECT_URL": project, "RUNNER_ID": "3"}.items():
        monkeypatch.setenv(f"CI_{name}", value)

    assert (nowhere, gitlab.this_run()) == (None, (f"{project}/-/runners/3", f"{project}/-/jobs/7"))


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
    given = {*re.findall(r"(?:^ +|(?<!\$)[{,] *)([A-Z][A-Z0-9_]+):", files, re.MULTILINE)}
    needed = {name for name in re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", files) if not name.startswith("CI_")} - given

    assert {"REGISTRY", "CLUSTER"} <= needed
    assert needed <= {
        name for page in (ROOT / "docs").glob("*.md") for name in re.findall(r"`([A-Z_]+)`", page.read_text())
    }
