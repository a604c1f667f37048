"""docs/incidents names what there is, and what must follow an incident has an owner and a date."""

import argparse
import re
from pathlib import Path

import pytest
import yaml

from app import cli
from dev.environment import ROOT
from dev.ops.generated import FOLDER
from dev.postmortem.action_items import mistakes

INCIDENTS = ROOT / "docs" / "incidents"
PAGES = sorted(INCIDENTS.glob("*.md"))
PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
HEAD = "# Postmortem\n\n| action | kind | owner | due | done |\n| --- | --- | --- | --- | --- |\n"
MISTAKES = {
    "no owner": ("| add a limit | prevent | | 2026-03-31 | |", "5: add a limit: no owner"),
    "an owner to be": ("| add a limit | prevent | TBD | 2026-03-31 | |", "5: add a limit: no owner"),
    "everybody": ("| add a limit | prevent | everybody | 2026-03-31 | |", "5: add a limit: no owner"),
    "no date": ("| add a limit | prevent | team-orders | | |", "5: add a limit: no due date, such as 2026-03-31"),
    "no day": (
        "| add a limit | prevent | team-orders | 2026-02-30 | |",
        "5: add a limit: no due date, such as 2026-03-31",
    ),
    "soon": ("| add a limit | prevent | team-orders | soon | |", "5: add a limit: no due date, such as 2026-03-31"),
    "too few cells": ("| add a limit | prevent | team-orders |", "5: add a limit: no due date, such as 2026-03-31"),
    "no action": ("| | prevent | team-orders | 2026-03-31 | |", "5: no action"),
    "the second": (
        "| add a limit | prevent | team-orders | 2026-03-31 | |\n| add a test | notice | ? | 2026-03-31 | |",
        "6: add a test: no owner",
    ),
}


@PAGE
def test_a_link_leads_somewhere(path: Path) -> None:
    """To a page or folder of this repository."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


@PAGE
def test_a_command_can_be_run(path: Path) -> None:
    """Each is a target of the Makefile, or a command of the service."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    groups = argparse.ArgumentParser().add_subparsers()
    for register in cli.GROUPS:
        register(groups)
    commands = [*cli.COMMANDS, *cli.CLIENTS, *groups.choices]
    known = {*(f"make {target}" for target in targets), *(f"app {name}" for name in commands)}

    assert set(re.findall(r"`((?:make|app) [a-z-]+)", path.read_text())) - known == set()


@PAGE
def test_an_alert_can_fire(path: Path) -> None:
    """Each that a page names is one of the rules."""
    rules = [yaml.safe_load(file.read_text()) for file in (FOLDER / "prometheus").glob("*.rules.yaml")]
    alerts = {rule["alert"] for file in rules for group in file["groups"] for rule in group["rules"] if "alert" in rule}

    assert set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", path.read_text())) - alerts == set()


def test_the_matrix_has_every_severity() -> None:
    """Those of alerts, and that of security, each in a row."""
    matrix = (INCIDENTS / "severities.md").read_text().split("\n## ")[0]

    assert re.findall(r"^\| (\w+) \|", matrix, re.MULTILINE) == ["severity", "page", "ticket", "security"]


def test_a_postmortem_has_owners_and_dates() -> None:
    """Whatever is to be done after an incident: every one that is here."""
    found = {path.name: mistakes(path.read_text()) for path in (INCIDENTS / "postmortems").glob("*.md")}

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_item_that_nobody_will_do_is_found(mistake: str) -> None:
    """With its line."""
    rows, why = MISTAKES[mistake]

    assert mistakes(HEAD + rows + "\n\n| after | call |\n| --- | --- |\n| | |\n") == [why]


def test_an_item_with_owner_and_date_is_fine() -> None:
    """Also if there is none, or other columns stand between."""
    rows = (
        "| add a limit | prevent | team-orders | 2026-03-31 | yes |\n| add a test | notice | on-call | 2026-04-02 | |"
    )

    assert mistakes(HEAD + rows) == []
    assert mistakes(HEAD) == []


def test_a_postmortem_without_the_table_is_found() -> None:
    """It was deleted, or its columns renamed."""
    assert mistakes("# Postmortem\n\n| action | who |\n| --- | --- |\n| x | y |\n") == [
        "1: no table of action items, with the columns action, owner, due"
    ]


def test_the_template_is_no_finished_postmortem() -> None:
    """A copy of it is red until somebody has written who does what by when."""
    wrong = mistakes((INCIDENTS / "postmortem-template.md").read_text())

    assert [line.split(": ")[-1] for line in wrong] == ["no owner", "no due date, such as 2026-03-31"]
