"""The alerts of causes in Prometheus's own checks: their examples hold, and no mistake in a rule goes unnoticed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.ops import cause_rules, slos
from dev.ops.alerts import read
from dev.ops.generated import FOLDER
from dev.ops.mutation import EXCUSED, subjects, survivors
from tests.support.programs import run

Tool = Callable[[str], Path]
CAUSES = sorted(read(slos.read()).alerts)
SUBJECTS = {each.name: each for each in subjects()}


async def test_the_examples_hold(tool: Tool) -> None:
    """Each fires when its example says so, not a step before, and ends when it says so."""
    files = [str(FOLDER / "tests" / cause_rules.TESTS.format(file)) for file in cause_rules.FILES.values()]
    code, said = await run(tool("promtool"), "test", "rules", *files)

    assert code == 0, said


@pytest.mark.parametrize("alert", CAUSES)
async def test_no_mistake_in_a_rule_goes_unnoticed(tool: Tool, alert: str) -> None:
    """Each comparison, threshold, condition, choice of series, patience and severity is held by an example."""
    made, left = await asyncio.to_thread(survivors, SUBJECTS[alert], tool("promtool"))

    assert made > 0
    assert [what for what in left if (alert, what) not in EXCUSED] == []


def test_excuses_are_for_what_there_is() -> None:
    """An excuse goes with the rule that it is for."""
    assert {name for name, _ in EXCUSED} <= SUBJECTS.keys()
