"""readiness.toml claims nothing that is not there."""

import re
import tomllib
from typing import Any

import pytest

from app import cli
from dev.environment import ROOT
from tests.support.source import cases_in, pattern_name, patterns

READINESS: dict[str, Any] = tomllib.loads((ROOT / "readiness.toml").read_text())
KNOWN: list[str] = READINESS["ids"]
POINTS: dict[str, dict[str, Any]] = {name: point for name, point in READINESS.items() if name != "ids"}
POINT = pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)


def test_every_id_is_known_and_has_its_point() -> None:
    """The list at the top and the tables below are the same, in the same order, each id once."""
    assert list(POINTS) == KNOWN
    assert len(set(KNOWN)) == len(KNOWN)


@POINT
def test_a_point_has_its_fields(point: dict[str, Any]) -> None:
    """A title, three lists, and what is still open where something is."""
    assert {"title", "code", "docs", "proofs"} <= point.keys() <= {"title", "code", "docs", "proofs", "open"}
    assert point["title"]
    assert point.get("open", "something")


@POINT
def test_nothing_is_claimed_without_proof(point: dict[str, Any]) -> None:
    """Code and documents count when something proves them; what is not started has nothing open."""
    assert point["proofs"] or (point["code"], point["docs"], point.get("open")) == ([], [], None)


@POINT
def test_named_files_exist(point: dict[str, Any]) -> None:
    """Each path of code and documents leads somewhere."""
    assert [path for path in point["code"] + point["docs"] if not (ROOT / path).exists()] == []


@POINT
def test_named_proofs_exist(point: dict[str, Any]) -> None:
    """Each proof is a test that pytest collects, a target of the Makefile, or a command of the service."""
    makefiles = [ROOT / "Makefile", *ROOT.glob("deploy/*/targets.mk")]
    targets = [name for path in makefiles for name in re.findall(r"^([a-z-]+):", path.read_text(), re.MULTILINE)]
    commands = {*(f"make {target}" for target in targets), *(f"app {name}" for name in (*cli.COMMANDS, *cli.CLIENTS))}

    assert [proof for proof in point["proofs"] if proof not in commands and not _is_test(proof)] == []


@pytest.mark.parametrize("name", [pattern_name(card) for card in patterns()])
def test_every_pattern_serves_a_point(name: str) -> None:
    """A pattern that is for nothing here is not needed."""
    cited = {path.removeprefix("src/app/patterns/").removesuffix(".py") for p in POINTS.values() for path in p["code"]}

    assert name in cited


def _is_test(proof: str) -> bool:
    path, _, name = proof.partition("::")
    file = ROOT / path
    return file.is_file() and file.name.startswith("test_") and name in {case.name for case in cases_in(file)}
