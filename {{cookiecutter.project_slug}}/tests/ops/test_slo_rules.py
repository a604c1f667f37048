"""The rules of the service levels, in Prometheus's own checks: they alert when arithmetic says so, and stop."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

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


SERIES = 'http_server_request_duration_seconds_count{service="s", http_route="/v1/orders", http_request_method="POST", '
QUIET = {
    # 60 requests an hour: good ones, bad ones; and whether somebody is paged after three hours, or ten minutes.
    "one of them fails": ("0+1x180", "0x60 1x120", {"1h4m": 0, "1h5m": 0, "3h": 0}),
    "four of them fail": ("0+1x180", "0x60 0+1x4 4x116", {"1h5m": 0, "1h8m": 0, "3h": 0}),
    "all of them fail": ("0+1x60 60x60", "0x60 0+1x60", {"1h3m": 0, "1h10m": 1}),
}


@pytest.mark.parametrize("case", QUIET)
async def test_a_quiet_night_pages_for_an_outage_alone(tool: Tool, tmp_path: Path, case: str) -> None:
    """With one request a minute a single failure is more than 14.4 times the budget of an hour, and wakes nobody."""
    good, bad, pages = QUIET[case]
    series = {
        f'{SERIES}http_response_status_code="{status}"}}': values for status, values in (("200", good), ("500", bad))
    }
    checks = [
        {
            "expr": 'count(ALERTS{alertstate="firing", severity="page"}) > bool 0',
            "eval_time": at,
            "exp_samples": [{"labels": "{}", "value": 1}] if paged else [],
        }
        for at, paged in pages.items()
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": checks,
    }
    rules = [str(FOLDER / "prometheus" / f"buy-availability.{kind}.rules.yaml") for kind in ("recording", "alerts")]
    path = tmp_path / "quiet.test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1m", "tests": [test]}))

    code, said = await _promtool(tool, "test", "rules", str(path))

    assert code == 0, said


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
