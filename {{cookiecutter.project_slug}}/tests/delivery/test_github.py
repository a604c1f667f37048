"""Mistakes in GitHub's workflows are named, by whoever knows them: schema, actionlint, shellcheck or zizmor."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from dev.delivery.ci import github
from dev.delivery.issues import NotOpened, open_once
from dev.delivery.linters import NotLooked
from dev.environment import ROOT
from dev.http_server import serving
from tests.support.issue_tracker import IssueTracker

CHECKOUT = "actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1"
GOOD = f"""\
name: planted

on:
  pull_request:

permissions:
  contents: read

concurrency:
  group: planted-${{{{ github.ref }}}}
  cancel-in-progress: true

jobs:
  job:
    name: job
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: {CHECKOUT}
        with:
          persist-credentials: false
      - run: make lint
"""
PERMISSIONS = "permissions:\n  contents: read\n"
MISTAKES = {
    # what: (its text in the file, the text instead, what is said)
    "an action without a digest": (CHECKOUT, "actions/checkout@v6", "[unpinned-uses]"),
    "a digest without its version": (" # v6.0.1", "", "says no version"),
    "a digest behind an anchor": (
        f"- uses: {CHECKOUT}",
        f"- uses: &x {CHECKOUT.removesuffix(' # v6.0.1')}",
        "says no version",
    ),
    "all rights": (PERMISSIONS, "permissions: write-all\n", "[excessive-permissions]"),
    "the default's rights": (PERMISSIONS, "", "[excessive-permissions]"),
    "a credential that stays": ("persist-credentials: false", "fetch-depth: 1", "[artipacked]"),
    "rights for strangers' code": ("  pull_request:\n", "  pull_request_target:\n", "[dangerous-triggers]"),
    "a title that is run": ("make lint", "echo ${{ github.event.pull_request.title }}", "[template-injection]"),
    "all secrets": ("make lint", "make lint\n        env: {S: '${{ toJSON(secrets) }}'}", "[overprovisioned-secrets]"),
    "two runs at once": (
        "concurrency:\n  group: planted-${{ github.ref }}\n  cancel-in-progress: true\n",
        "",
        "concurrency",
    ),
    "a runner that does not exist": ("ubuntu-24.04", "ubuntu-12.04", 'label "ubuntu-12.04" is unknown'),
    "a need that does not exist": ("    name: job\n", "    name: job\n    needs: [tset]\n", "tset"),
    "an expression that means nothing": ("github.ref", "github.rf", 'property "rf" is not defined'),
    "a key that does not exist": ("timeout-minutes: 5", "timeout: 5", "timeout"),
    "a variable without quotes": ("make lint", "make lint $HOME/$1", "SC2086"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is said of a good workflow and of each with a mistake; all of them are looked at together."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / ".github", root / ".github")
    files = {"good": GOOD} | {name: GOOD.replace(text, instead, 1) for name, (text, instead, _) in MISTAKES.items()}
    paths = {name: f".github/workflows/{number}.yml" for number, name in enumerate(files)}
    for name, text in files.items():
        (root / paths[name]).write_text(text)
    (root / ".github/dependabot.yml").write_text("version: 2\nupdates: [{package-ecosystem: uv, directory: /}]\n")
    found = list(github.look(root))
    by_file = {name: [line for line in found if line.startswith(f"{path}:")] for name, path in paths.items()}
    return by_file | {"dependabot": [line for line in found if "dependabot" in line]}


def test_a_good_workflow_is_not_complained_of(said: dict[str, list[str]]) -> None:
    """So what is said of the others is said of their mistakes."""
    assert said["good"] == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(said: dict[str, list[str]], mistake: str) -> None:
    """With its file and line."""
    text, _, expected = MISTAKES[mistake]

    assert text in GOOD
    assert [line for line in said[mistake] if expected in line] != []


def test_a_mistake_in_dependabots_file_is_named(said: dict[str, list[str]]) -> None:
    """Here: it does not say how often to look."""
    assert [line for line in said["dependabot"] if "schedule" in line] != []


def test_what_cannot_be_read_is_not_sound(tmp_path: Path) -> None:
    """A workflow that is no YAML, of which zizmor says nothing by itself."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "broken.yml").write_text("jobs: [")

    with pytest.raises(NotLooked):
        list(github.look(tmp_path))


def test_jobs_are_read(tmp_path: Path) -> None:
    """Name, commands, and whether each ends by itself."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "planted.yml").write_text(GOOD.replace("    timeout-minutes: 5\n", ""))

    (job,) = github.jobs(tmp_path)

    assert (job.name, job.targets, job.minutes, job.may_fail) == ("planted/job", ["lint"], None, False)


@pytest.mark.parametrize(
    ("place", "planted"),
    [
        pytest.param("    name: job\n", "    continue-on-error: true\n", id="job"),
        pytest.param("      - run: make lint\n", "        continue-on-error: true\n", id="step"),
        pytest.param("      - run: make lint\n", "        shell: bash {0}\n", id="a shell that goes on"),
    ],
)
def test_a_job_that_may_fail_is_known(tmp_path: Path, place: str, planted: str) -> None:
    """Whether all of it may, or one of its steps."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "planted.yml").write_text(GOOD.replace(place, f"{place}{planted}"))

    (job,) = github.jobs(tmp_path)

    assert (job.minutes, job.may_fail) == (5, True)


@pytest.mark.parametrize(
    ("written", "needed", "may_release"),
    [
        pytest.param("{needs: image, environment: x}", "check", True, id="through another"),
        pytest.param("{needs: [image], environment: x}", "nothing", False, id="not"),
        pytest.param("{needs: [check], environment: x, if: '!cancelled()'}", "check", False, id="even if they fail"),
        pytest.param("{needs: [check]}", "check", False, id="without an approval"),
    ],
)
def test_a_job_that_may_release_is_known(
    tmp_path: Path,
    written: str,
    needed: str,
    may_release: bool,  # noqa: FBT001 - the case
) -> None:
    """If it needs the workflow `check`, begins only if that has passed, and is in an environment."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    made = {
        "check": {"uses": "$/.github/workflows/check.yml"},
        "nothing": {"steps": []},
        "image": {"steps": [], "needs": needed},
        "deploy": {"steps": [], **yaml.safe_load(written)},
    }
    (folder / "planted.yml").write_text(yaml.safe_dump({"jobs": made}, sort_keys=False))

    assert [job.may_release for job in github.jobs(tmp_path)][-1] is may_release


def test_a_run_is_known_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As GitHub tells it; outside of a run there is none."""
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    nowhere = github.this_run()
    workflow = "team/service/.github/workflows/release.yml@refs/tags/v1.4.0"
    for name, value in {"SERVER_URL": "https://github.example", "REPOSITORY": "team/service", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", workflow)

    run = "https://github.example/team/service/actions/runs/7/attempts/2"
    assert (nowhere, github.this_run()) == (None, (f"https://github.example/{workflow}", run))


def test_an_issue_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds one with the title opens no other; a token that is refused is told."""
    tracker = IssueTracker("/repos/team/service/issues", {"Authorization": "Bearer of-the-job"}, shown_as="html_url")
    with serving(tracker.app()) as url:

        def opened(title: str, given: str = "of-the-job") -> str:
            for name, value in {
                "GITHUB_API_URL": url,
                "GITHUB_REPOSITORY": "team/service",
                "GITHUB_TOKEN": given,
            }.items():
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
    assert tracker.issues[0] == {"title": "Drift (1)", "body": "- what was found"}


def test_the_page_tells_of_each_variable() -> None:
    """What the jobs need is on a page, and the page of pipelines tells of nothing else."""
    files = "\n".join(path.read_text() for path in (ROOT / ".github").rglob("*.yml"))
    pages = [path.read_text() for path in (ROOT / "docs").glob("*.md")]
    needed = {*re.findall(r"\b(?:vars|secrets)\.([A-Z_]+)", files)}
    told = (
        (ROOT / "docs" / "pipelines.md").read_text().partition("Variables of the environments")[2].partition("\n\n")[0]
    )

    assert needed <= {name for page in pages for name in re.findall(r"`([A-Z_]+)`", page)}
    assert {*re.findall(r"`([A-Z_]+)`", told)} <= needed
