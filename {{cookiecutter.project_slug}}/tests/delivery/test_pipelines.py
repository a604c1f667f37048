"""Pipelines run what developers run: targets of the Makefile, which exist and end."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from dev.delivery import pipelines
from dev.delivery.issues import NotOpened, open_once
from dev.delivery.linters import Job, NotLooked
from dev.environment import ROOT
from tests.support.needing_tools import WithTools

GOOD = Job("lint", ["sudo apt-get update --quiet", "make lint"], minutes=5)


def given(monkeypatch: pytest.MonkeyPatch, systems: Mapping[str, list[Job]]) -> None:
    """Let these be the pipelines, in whose files the linters find nothing."""

    def system(jobs: list[Job]) -> SimpleNamespace:
        return SimpleNamespace(jobs=lambda _: iter(jobs), look=lambda _: iter(()))

    monkeypatch.setattr(pipelines, "_systems", lambda: ((name, system(jobs)) for name, jobs in systems.items()))


def test_the_pipelines_here_are_sound(with_tools: WithTools) -> None:
    """The linters find nothing, and neither do the rules of this house."""
    assert with_tools(lambda: pipelines.look(ROOT)) == []


def test_the_page_tells_of_each_target() -> None:
    """What a pipeline runs is on a page."""
    run = {target for _, system in pipelines._systems() for job in system.jobs(ROOT) for target in job.targets}
    told = {word for page in ROOT.glob("docs/*.md") for word in re.findall(r"`make ([a-z-]+)", page.read_text())}

    assert "lint" in run
    assert run - told == set()


def test_every_check_of_the_makefile_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are two systems, both run the same; here: what one does not run is named."""
    given(monkeypatch, {"one": [GOOD, Job("test", ["make test"], minutes=5)], "other": [GOOD]})

    assert pipelines.look(ROOT) == ["other: nothing runs test, as one does"]


@pytest.mark.parametrize(
    ("job", "mistake"),
    [
        pytest.param(GOOD, None, id="good"),
        pytest.param(Job("x", ["make lint"], minutes=None), "x: has no time limit", id="no limit"),
        pytest.param(Job("x", [], minutes=5), "x: does nothing", id="empty"),
        pytest.param(Job("x", ["make lint"], 5, may_fail=True), "x: may fail, and nobody notices", id="may fail"),
        pytest.param(
            Job("x", ["make push"], 5), "x: releases what was not checked, or nobody approved", id="not checked"
        ),
        pytest.param(
            Job("x", ["make deploy"], minutes=90, may_release=True),
            "x: is ended before a deployment, which may take 90m, can go back",
            id="no time to go back",
        ),
        pytest.param(Job("x", ["make lnit"], minutes=5), "x: the Makefile has no target lnit", id="no target"),
        pytest.param(
            Job("x", ["make lint A=1 tets"], minutes=5), "x: the Makefile has no target tets", id="second target"
        ),
        pytest.param(
            Job("x", ["pytest -q"], minutes=5), "x: nobody can run this here: pytest -q", id="no target at all"
        ),
        pytest.param(
            Job("x", ["make lint || true"], minutes=5), "x: nobody can run this here: make lint || true", id="swallowed"
        ),
        pytest.param(
            Job("x", ["make lint MAKEFLAGS=-i"], minutes=5),
            "x: nobody can run this here: make lint MAKEFLAGS=-i",
            id="told to go on",
        ),
        pytest.param(
            Job("x", ["make lint; exit 0"], minutes=5), "x: nobody can run this here: make lint; exit 0", id="ignored"
        ),
    ],
)
def test_a_mistake_is_named(monkeypatch: pytest.MonkeyPatch, job: Job, mistake: str | None) -> None:
    """With its job."""
    given(monkeypatch, {"one": [job]})

    assert pipelines.look(ROOT) == ([] if mistake is None else [f"one: {mistake}"])


def test_without_a_pipeline_nothing_is_sound(tmp_path: Path) -> None:
    """A repository whose pipelines are somewhere else has not been looked at."""
    with pytest.raises(NotLooked, match="no pipeline"):
        pipelines.look(tmp_path)


def test_the_exit_status_says_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sound, not sound, not looked."""
    statuses = []
    for systems in ({"one": [GOOD]}, {"one": [Job("x", ["make nothing"], minutes=5)]}, {}):
        given(monkeypatch, systems)
        statuses.append(pipelines.main())

    assert statuses == [0, 1, 2]
    assert "the Makefile has no target nothing" in capsys.readouterr().out


def test_without_a_token_no_issue_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable that is missing is named."""
    for name in ("GITHUB_TOKEN", "ISSUES_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(NotOpened, match="is not set"):
        open_once("Drift", "- what was found")
