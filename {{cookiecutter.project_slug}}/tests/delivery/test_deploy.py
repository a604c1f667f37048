"""A release is rolled out in its order, and goes back when it fails. The cluster is a stand-in."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dev.delivery import cluster, deploy
from dev.delivery.kustomize import Object, Variant, render
from dev.deploy_window import LONGEST
from dev.environment import ROOT
from tests.support import kubectl as stand_in

OLD, NEW = (f"registry.example.com/service@sha256:{letter * 64}" for letter in "ab")
PROCESSES = ("http", "worker", "probe")
NOTE = "configmap/deployment-in-progress"
_RELEASED: dict[str, str] = {}
"""Clusters in which the old image runs, by place."""


class _Killed(BaseException):
    pass


def _killed(*_: object) -> None:
    raise _Killed


class Given:
    """A cluster in a file, and what deploys to it."""

    def __init__(
        self, folder: Path, objects: Mapping[str, Sequence[Object]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._state = folder / "cluster.json"
        self._objects = objects
        self._capsys = capsys
        self._programs = folder / "bin"
        self._programs.mkdir()
        program = self._programs / "kubectl"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{stand_in.__file__}" "$@"\n')
        program.chmod(0o755)

    def deploy(self, image: str, *more: str, fault: str = "", to: str = "staging") -> tuple[int, list[str]]:
        """Deploy, and return the exit status and the lines that were said; the new image has a fault."""
        path = f"{self._programs}:{os.environ['PATH']}"
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"PATH": path, "CLUSTER": self._state, "FAULT": fault, "BAD_IMAGE": NEW}.items():
                patch.setenv(name, str(value))
            # Rendered before: the stand-in knows nothing of kustomize.
            patch.setattr(deploy, "render", lambda variant: deepcopy(self._objects[variant.overlay]))
            try:
                status = deploy.main([to, image, "--every", "0.01", *more])
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        said = self._capsys.readouterr()
        return status, [*said.out.splitlines(), *said.err.splitlines()]

    def released(self, *, to: str) -> None:
        """Let the old image run: deployed once, and copied for the tests after that."""
        if to not in _RELEASED:
            assert self.deploy(OLD, to=to)[0] == 0
            _RELEASED[to] = self._state.read_text()
        self._state.write_text(_RELEASED[to])

    def killed_while_deploying(self, image: str) -> None:
        """Let a deployment end without a chance to go back."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deploy, "go_back", _killed)
            with pytest.raises(_Killed):
                self.deploy(image, fault="worker")
        self._capsys.readouterr()

    @property
    def state(self) -> dict[str, Any]:
        """Return what the cluster has, and what it was asked."""
        state: dict[str, Any] = json.loads(self._state.read_text())
        return state

    @property
    def calls(self) -> list[str]:
        """Return what kubectl was asked to change."""
        return [call for call in self.state["calls"] if not call.startswith("get ")]

    def images(self) -> dict[str, str]:
        """Return the image of each process, as the cluster has it."""
        pods = {name: self.state["objects"][f"deployment/{name}"]["spec"]["template"]["spec"] for name in PROCESSES}
        return {name: str(pod["containers"][0]["image"]) for name, pod in pods.items()}


@pytest.fixture(scope="session")
def objects(with_tools: Callable[..., Any]) -> Mapping[str, Sequence[Object]]:
    """Return the manifests of two places: one rolls a canary out, the other does not."""
    made = {
        "production": with_tools(lambda: render(Variant("production", ("canary",)))),
        "staging": with_tools(lambda: render(Variant("production", ()))),
    }
    # Without the longest, which the stand-in would read and write again with each call.
    return {place: [each for each in found if each["kind"] != "PrometheusRule"] for place, found in made.items()}


@pytest.fixture
def given(tmp_path: Path, objects: Mapping[str, Sequence[Object]], capsys: pytest.CaptureFixture[str]) -> Given:
    """Return a cluster in which nothing is."""
    return Given(tmp_path, objects, capsys)


@pytest.mark.parametrize("place", ["staging", "production"])
def test_a_release_comes_in_its_order(given: Given, place: str) -> None:
    """What there must be, the migration, and the processes when it is through; everything of the new image."""
    status, said = given.deploy(NEW, to=place)

    assert status == 0
    assert said == [f"deploy: {each}" for each in ("the schema is up to date", *(f"{name} runs" for name in PROCESSES))]
    assert given.calls == [
        *("apply --filename", "create --filename"),  # the namespace, and in it the note that keeps others out
        *("delete job/migrate", "apply --filename"),
        *("apply --filename", "apply --filename"),  # what processes were is noted before they are changed
        f"delete {NOTE}",
    ]
    assert given.images() == dict.fromkeys(PROCESSES, NEW)
    assert NEW in json.dumps(given.state["objects"]["job/migrate"])


@pytest.mark.parametrize(
    ("place", "fault", "why"),
    [
        pytest.param("staging", "worker", "worker does not become ready", id="not ready"),
        pytest.param(
            "staging",
            "refused",
            'kubectl apply --filename: admission webhook "policy" denied the request',
            id="refused",
        ),
        pytest.param("production", "canary", 'http was judged: Metric "buy" assessed Failed', id="judged bad"),
        pytest.param(
            "production",
            "undecided",
            "time is up: http is not through: Paused InconclusiveAnalysisRun",
            id="left undecided",
        ),
        pytest.param("production", "cancelled", "told to stop, by signal 15", id="cancelled"),
    ],
)
def test_a_release_that_fails_goes_back(given: Given, place: str, fault: str, why: str) -> None:
    """All processes are what they were before, and the reason is said."""
    given.released(to=place)

    status, said = given.deploy(NEW, "--timeout", "1s", fault=fault, to=place)

    assert (status, said[-1]) == (1, f"deploy: failed: {why}")
    assert given.images() == dict.fromkeys(PROCESSES, OLD)
    assert "deploy: http goes back" in said
    assert NOTE not in given.state["objects"]


def test_a_second_deployment_waits_for_the_first(given: Given) -> None:
    """It is refused by name of the other, and touches nothing: not even the migration that may be running."""
    given.released(to="staging")
    given.killed_while_deploying(NEW)
    before = len(given.calls)

    status, said = given.deploy(OLD)

    assert (status, said) == (
        2,
        [f"deploy: refused: a deployment of {NEW} has not ended; if nobody works on it, make rollback"],
    )
    assert given.calls[before:] == ["apply --filename", "create --filename"]


def test_what_was_killed_is_taken_back_afterwards(given: Given) -> None:
    """By its image: whoever was refused, or comes too late, takes nobody else's deployment back."""
    given.released(to="staging")
    given.killed_while_deploying(NEW)

    of_another = given.deploy(OLD, "--back")
    images = given.images()
    of_this = given.deploy(NEW, "--back")
    again = given.deploy(NEW, "--back")

    nothing = (0, ["deploy: there is no deployment of it to take back"])
    assert (of_another, images, again) == (nothing, dict.fromkeys(PROCESSES, NEW), nothing)
    assert of_this == (0, [f"deploy: {name} goes back" for name in PROCESSES])
    assert given.images() == dict.fromkeys(PROCESSES, OLD)
    assert given.deploy(NEW)[0] == 0


def test_a_process_that_cannot_go_back_does_not_keep_the_others(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both reasons are said, and what is left to do can be done later."""
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 0)
    given.released(to="production")

    status, said = given.deploy(NEW, fault="stuck", to="production")
    images = given.images()
    later = given.deploy(NEW, "--back", to="production")

    assert status == 1
    assert "assessed Failed; and it could not go back: kubectl patch deployment/http: admission" in said[-1]
    assert images == {"http": NEW, "worker": OLD, "probe": OLD}
    assert later == (0, ["deploy: http goes back"])


def test_a_cluster_that_does_not_answer_for_a_moment_is_asked_again(given: Given) -> None:
    """A roll-out takes an hour and thousands of looks: one of them in vain takes nothing back."""
    assert given.deploy(NEW, fault="blinking", to="production")[0] == 0


def test_a_migration_that_fails_changes_no_process(given: Given) -> None:
    """They do not even start anew."""
    given.released(to="staging")
    before = len(given.calls)

    status, said = given.deploy(NEW, fault="migration")

    assert status == 1
    assert "job migrate failed" in said[-1]
    assert "delete job/migrate" in given.calls[before:]
    assert given.calls[before:].count("apply --filename") == 2
    assert given.images() == dict.fromkeys(PROCESSES, OLD)


def test_the_same_release_again_has_nothing_to_go_back_to(given: Given) -> None:
    """A process that was not changed is not taken back to the release before it."""
    given.released(to="staging")
    assert given.deploy(NEW)[0] == 0

    status, said = given.deploy(NEW, fault="worker")

    assert status == 1
    assert [line for line in said if "goes back" in line] == []
    assert given.images() == dict.fromkeys(PROCESSES, NEW)


def test_the_first_release_stays_as_it_is(given: Given) -> None:
    """There is nothing to go back to, and whoever mends it wants to see it."""
    status, said = given.deploy(NEW, fault="worker")

    assert status == 1
    assert "deploy: http was not there before, and stays as it is" in said
    assert given.images() == dict.fromkeys(PROCESSES, NEW)


@pytest.mark.parametrize(
    ("image", "fault", "status", "why"),
    [
        pytest.param("registry.example.com/service:1.4.0", "", 2, "is not named by its digest", id="a tag"),
        pytest.param(f"{NEW}0", "", 2, "is not named by its digest", id="no digest"),
        pytest.param(NEW, "away", 1, "connection refused", id="no cluster"),
    ],
)
def test_what_cannot_be_deployed_says_why(given: Given, image: str, fault: str, status: int, why: str) -> None:
    """In one line, with nothing changed."""
    ended, (line,) = given.deploy(image, fault=fault)

    assert ended == status
    assert why in line


def test_an_unknown_place_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    with pytest.raises(SystemExit) as ended:
        deploy.main(["elsewhere", NEW])

    assert ended.value.code == 2
    assert "dev" in capsys.readouterr().err


def test_its_tickets_wait_for_as_long_as_it_may_take() -> None:
    """`make deploy` opens the window for that, and not for its usual half hour."""
    recipe = r"-m dev\.deploy_window (.*) -- \S+ -m dev\.delivery\.deploy "

    assert re.findall(recipe, (ROOT / "Makefile").read_text()) == [f"--cap {LONGEST}"]
