"""The alerts of causes in Prometheus's own checks: their examples hold, and no mistake in a rule goes unnoticed.

The same of the rules that service levels count with, in one window: `make mutants` takes all of them.
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.ops import cause_rules, slos
from dev.ops.alerts import read
from dev.ops.generated import FOLDER
from dev.ops.mutants import mutants
from dev.ops.mutation import EXCUSED, excuse, subjects, survivors
from tests.support.programs import run

Tool = Callable[[str], Path]
CAUSES = sorted(read(slos.read()).alerts)
SUBJECTS = {each.name: each for each in subjects()}
COUNTING = [name for name in SUBJECTS if name.endswith(("increase5m", "ratio_rate5m", "ratio_month", "remaining"))]


async def test_the_examples_hold(tool: Tool) -> None:
    """Each fires when its example says so, not a step before, and ends when it says so."""
    files = [str(FOLDER / "tests" / cause_rules.TESTS.format(file)) for file in cause_rules.FILES.values()]
    code, said = await run(tool("promtool"), "test", "rules", *files)

    assert code == 0, said


@pytest.mark.parametrize("rule", [*CAUSES, *COUNTING])
async def test_no_mistake_in_a_rule_goes_unnoticed(tool: Tool, rule: str) -> None:
    """Each comparison, threshold, condition, choice of series, patience and severity is held by an example."""
    made, left = await asyncio.to_thread(survivors, SUBJECTS[rule], tool("promtool"))

    assert made > 0
    assert [what for what in left if not excuse(rule, what)] == []


@pytest.mark.parametrize("patterns", EXCUSED)
def test_excuses_are_for_what_there_is(patterns: tuple[str, str]) -> None:
    """An excuse goes with the rule that it is for, and is for some mistake in it."""
    name, mistake = patterns
    excused = [subject for subject in SUBJECTS.values() if re.fullmatch(name, subject.name)]

    assert excused
    assert all(any(re.fullmatch(mistake, made.what) for made in mutants(subject.rule)) for subject in excused)
