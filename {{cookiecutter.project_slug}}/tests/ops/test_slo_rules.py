"""The rules of the service levels, in Prometheus's own checks: they alert when arithmetic says so, and stop."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.ops.generated import FOLDER
from dev.ops.rule_tests import moment
from dev.ops.slos import read
from tests.support.programs import run

TESTS = sorted(path.name for path in (FOLDER / "tests").glob("*.test.yaml"))
Tool = Callable[[str], Path]

# One alert's rules, each with a mistake that promtool must notice.
MUTANTS = {
    "a threshold twice as high": (r"> (0\.0144)\b", "> 0.0288"),
    "a threshold half as high": (r"> (0\.0144)\b", "> 0.0072"),
    "below in place of above": (r"> 0\.006 and", "< 0.006 and"),
    "without the short window": (r" and slo:errors:ratio_rate(?:5m|30m|2h|6h)\{[^}]*\} > \S+", ""),
    "without the floor": (r" and slo:bad_events\S+ >= 5", ""),
    "either window": (r" and slo:errors", " or slo:errors"),
    "four times as patient": (r"for: 2m", "for: 8m"),
    "without patience": (r"for: 15m", "for: 0m"),
    "a ticket in place of a page": (r"severity: page", "severity: ticket"),
    "another window": (r"ratio_rate1h", "ratio_rate6h"),
    "kept firing for longer": (r"keep_firing_for: 5m", "keep_firing_for: 1h"),
}


@pytest.mark.parametrize("name", TESTS)
async def test_promtool_finds_true_what_arithmetic_says(tool: Tool, name: str) -> None:
    """Counters become ratios and ratios alerts: at the computed moment, not before, and not after an outage is over."""
    code, said = await _promtool(tool, "test", "rules", str(FOLDER / "tests" / name))

    assert code == 0, said


async def test_promtool_accepts_all_rules(tool: Tool) -> None:
    """With every warning that it has."""
    rules = sorted(map(str, (FOLDER / "prometheus").glob("*.rules.yaml")))
    code, said = await _promtool(tool, "check", "rules", "--lint=all", "--lint-fatal", *rules)

    assert code == 0, said


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_mistake_in_an_alert_is_noticed(tool: Tool, tmp_path: Path, mutant: str) -> None:
    """The generated tests can fail: each kind of wrong rule makes one of them red."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "prometheus" / "buy-availability.alerts.rules.yaml"
    changed = re.sub(MUTANTS[mutant][0], MUTANTS[mutant][1], rules.read_text())
    assert changed != rules.read_text()
    rules.write_text(changed)

    codes = []
    for path in sorted((tmp_path / "tests").glob("buy-availability.alerts-*.test.yaml")):
        code, _ = await _promtool(tool, "test", "rules", str(path))
        codes.append(code)

    assert any(codes)


def test_an_outage_pages_within_minutes() -> None:
    """Of each service level: all events bad pages in less than ten minutes; twice the budget pages nobody."""
    levels = read()
    for slo in levels.slos.values():
        pages = [rate for rate in levels.burn_rates if rate.severity == "page"]
        outage = [moment(slo, rate, 1 / slo.budget, levels.window_days) for rate in pages]

        assert min(at for at in outage if at is not None) < 15 * 60
        assert [moment(slo, rate, 2 * slo.budget / slo.budget, levels.window_days) for rate in pages] == [None, None]


async def _promtool(tool: Tool, *arguments: str) -> tuple[int, str]:
    return await run(await asyncio.to_thread(tool, "promtool"), *arguments)
