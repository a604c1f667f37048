"""Feature flags: declared once, registered, asked for by their constant, tested on both sides, and gone in time."""

import ast
import re
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from app.kit.clock import SystemClock
from app.patterns.feature_flags import (
    Experiment,
    FeatureFlags,
    FeatureFlagSettings,
    KillSwitch,
    ReleaseFlag,
    Switch,
    overdue,
)
from dev.environment import ROOT
from tests.support.flag_rules import constants, declarations, misuses, questions, sides, wanted_sides
from tests.support.source import APP, PATTERNS, modules, name_of, parsed

DOMAINS = declarations()
FLAGS = {name: flag for module in DOMAINS.values() for name, flag in constants(module).items()}
PAGE = (ROOT / "docs" / "feature-flags.md").read_text()
TODAY = SystemClock().now().date()
DOMAIN = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)


def test_no_flag_is_overdue() -> None:
    """What was released has lost its flag, and each switch has been tried; the line says what is to be done."""
    assert overdue(FLAGS.values(), TODAY) == []


def test_a_flag_that_is_overdue_would_be_told() -> None:
    """Planted: one that expired yesterday, and a switch that nobody has tried since."""
    yesterday = TODAY - timedelta(days=1)
    planted = [
        ReleaseFlag(name="planted-release", owner="service", purpose="p", expires=yesterday),
        KillSwitch(name="planted-switch", owner="service", purpose="p", review=yesterday),
    ]

    told = overdue([*FLAGS.values(), *planted], TODAY)

    assert [line.partition(":")[0] for line in told] == ["planted-release", "planted-switch"]


@DOMAIN
def test_a_domain_registers_all_its_flags(domain: ModuleType) -> None:
    """One that is declared and not registered would raise where it is asked for."""
    assert {flag.name for flag in domain.REGISTERED} == {flag.name for flag in constants(domain).values()}


def test_no_two_domains_have_a_constant_of_one_name() -> None:
    """One of them would hide the other from these rules."""
    assert len(FLAGS) == sum(len(constants(domain)) for domain in DOMAINS.values())


def test_each_domains_flags_are_registered_with_the_process() -> None:
    """In the one place that knows all domains."""
    source = (APP / "resources.py").read_text()
    imported = dict(re.findall(r"^from app\.(\w+) import flags as (\w+)", source, re.MULTILINE))

    assert [name for name in DOMAINS if f"*{imported.get(name)}.REGISTERED," not in source] == []


def test_flags_are_asked_for_by_their_constants_alone() -> None:
    """Whoever asks by another way asks for a flag that nobody owns."""
    declaring = {APP / name / "flags.py" for name in DOMAINS}
    sources = [
        path for path in modules("src") if path not in declaring and PATTERNS / "feature_flags" not in path.parents
    ]
    found = {name_of(path): list(misuses(parsed(path), FLAGS)) for path in sources}

    assert {name: lines for name, lines in found.items() if lines} == {}
    assert FLAGS


def test_each_flag_is_asked_for() -> None:
    """What was released, or is stopped by nothing any more, has lost its declaration, too."""
    asked = {asked for path in modules("src") for asked, _ in questions(parsed(path))}

    assert {f"flags.{name}" for name in FLAGS} - asked == set()


def test_the_name_of_a_flag_is_spelled_once() -> None:
    """Elsewhere in the code there are constants."""
    texts = [path.read_text() for path in modules("src")]

    assert {flag.name: sum(text.count(f'"{flag.name}"') for text in texts) for flag in FLAGS.values()} == dict.fromkeys(
        (flag.name for flag in FLAGS.values()), 1
    )


def test_both_sides_of_each_flag_are_tested() -> None:
    """Each answer that a flag can give is given by a test, to code that asks for it."""
    tested = sides(parsed(path) for path in modules("tests"))
    wanted = {side for name, flag in FLAGS.items() for side in wanted_sides(name, flag)}

    assert wanted - tested == set()


def test_the_page_is_true() -> None:
    """The flags of orders and the settings are those of the code, word for word."""
    rows = re.findall(r"^\| `.+$", PAGE.partition("## The flags of orders\n")[2].partition("\n## ")[0], re.MULTILINE)
    settings = [
        f"| `APP_FEATURE_FLAGS__{name.upper()}` | {'none' if field.default is None else f'`{field.default}`'}"
        f" | {field.description} |"
        for name, field in FeatureFlagSettings.model_fields.items()
    ]
    kinds = {KillSwitch: "kill switch", ReleaseFlag: "release", Experiment: "experiment"}
    flags = [f"| `{flag.name}` | {kinds[type(flag)]} | {flag.purpose} |" for flag in FLAGS.values()]

    assert [row for row in settings if row not in PAGE] == []
    assert rows == flags


PLANTED = {
    "by its name": ('features.is_on("orders-new-stopped")', "line 1: 'orders-new-stopped' is no registered flag"),
    "by a constant that nobody registered": ("features.is_on(flags.MINE)", "line 1: flags.MINE is no registered flag"),
    "by a variable": ("features.variant(which)", "line 1: which is no registered flag"),
    "declared where it is used": (
        "features.is_on(ReleaseFlag(name='a-b', owner='me', purpose='mine', expires=someday))",
        "line 1: a flag is declared in the flags.py of its domain",
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_another_way_to_ask_would_be_told(mistake: str) -> None:
    """Planted: each of them once; and the right way, which is not told."""
    text, told = PLANTED[mistake]

    assert told in list(misuses(ast.parse(text), {"NEW_ORDERS_STOPPED"}))
    assert list(misuses(ast.parse("features.is_on(flags.NEW_ORDERS_STOPPED)"), {"NEW_ORDERS_STOPPED"})) == []


def test_a_side_that_nobody_tests_would_be_missed() -> None:
    """Planted: a test of one side."""
    planted = ast.parse("Orders(features=FixedFlags({flags.SWITCH: True}, variants={flags.COLOUR: 'red'}))")
    flag = ReleaseFlag(name="a-b", owner="service", purpose="p", expires=date(2100, 1, 1))

    assert wanted_sides("SWITCH", flag) - sides([planted]) == {("SWITCH", False)}
    assert sides([planted]) == {("SWITCH", True), ("COLOUR", "red")}


def test_the_file_on_the_page_throws_the_switch(tmp_path: Path) -> None:
    """Who copies it in an incident has stopped new orders, and nothing else."""
    (rules,) = re.findall(r"^```json\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "flags.json").write_text(rules)
    settings = FeatureFlagSettings(bootstrap_file=tmp_path / "flags.json")
    features = FeatureFlags(FLAGS.values(), settings, service="service", env="test")

    on = [name for name, flag in FLAGS.items() if isinstance(flag, Switch) and features.is_on(flag)]
    assert on == ["NEW_ORDERS_STOPPED"]
