"""What the release gate decides, of a real Prometheus that has recorded a service in each state."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from dev.monitoring import Prometheus
from dev.ops import slos
from dev.prometheus_api import PrometheusApi
from dev.release_gate import policy as policies
from dev.release_gate.__main__ import main
from dev.release_gate.decision import Decision, Verdict, decide
from dev.release_gate.measured import measure
from dev.release_gate.policy import Policy
from tests.support.recorded_series import given

LEVELS = slos.read()
POLICY = policies.read(LEVELS)
EXCUSED = "Nobody has logged in yet."
LEFT = "slo:error_budget:remaining"
HEALTHY = {
    LEFT: 0.8,
    "slo:events:increase1h": 600.0,
    "slo:bad_events:increase1h": 0.0,
    "slo:errors:ratio_rate1h": 0.0,
    "slo:events:increase6h": 3600.0,
    "slo:bad_events:increase6h": 1.0,
    "slo:errors:ratio_rate6h": 0.0003,
}
NOTHING = dict.fromkeys(HEALTHY)

# By service: in what its series differ from healthy ones. None: there is no such series.
SERVICES: dict[str, dict[str, Mapping[str, float | None]]] = {
    "healthy": {},
    "spent": {"buy-latency": {LEFT: 0.0}},
    "overspent": {"buy-availability": {LEFT: -3.2}, "login": {LEFT: -0.1}},
    "nearly-spent": {"buy-latency": {LEFT: 0.001}},
    "burning": {"login": {"slo:errors:ratio_rate1h": 0.0145, "slo:bad_events:increase1h": 9.0}},
    "burning-longer": {"login": {"slo:errors:ratio_rate6h": 0.0061, "slo:bad_events:increase6h": 22.0}},
    "one-bad-event": {"login": {"slo:errors:ratio_rate1h": 0.02, "slo:bad_events:increase1h": 1.0}},
    "quiet-hour": {
        "login": {"slo:events:increase1h": 0.0, "slo:errors:ratio_rate1h": None},
        "buy-latency": {"slo:events:increase1h": None, "slo:errors:ratio_rate1h": None},
    },
    "level-missing": {"login": NOTHING},
    "level-missing-though-counted": {"login": NOTHING},
    "nothing-happened": dict.fromkeys(LEVELS.slos, NOTHING),
    "not-a-number": {"login": {LEFT: float("nan")}},
    "infinite": {"login": {LEFT: float("inf")}},
    "burn-not-a-number": {"login": {"slo:errors:ratio_rate6h": float("nan")}},
    "burn-missing": {"login": {"slo:errors:ratio_rate1h": None}},
    "twice": {},
    "silent-for-minutes": {"login": NOTHING},
    "silent-for-long": {"login": NOTHING},
    "process-down": {},
    "spent-and-missing": {"buy-latency": {LEFT: 0.0}, "login": NOTHING},
    "spent-and-process-down": {"buy-latency": {LEFT: 0.0}},
}


@pytest.fixture(scope="module")
def prometheus(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Prometheus that has the series of all services, of now and of the hour to come."""
    tool("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    now = time.time()
    moments = [now + offset for offset in range(-600, 3_000, 60)]

    def always(name: str, value: float, **labels: str) -> tuple[str, Mapping[str, str], list[tuple[float, float]]]:
        return name, labels, [(at, value) for at in moments]

    series = [
        always(metric, value, service=service, slo=level)
        for service, differences in SERVICES.items()
        for level in LEVELS.slos
        for metric, value in {**HEALTHY, **differences.get(level, {})}.items()
        if value is not None
    ]
    series += [always("up", 1.0, service=service, instance="a:8000") for service in SERVICES]
    series += [always("up", 0.0, service=name, instance="b:8000") for name in SERVICES if "process-down" in name]
    series += [always("authentication_tokens_total", 3.0, service="level-missing-though-counted", outcome="accepted")]
    series += [always(LEFT, 0.1, service="twice", slo="login", environment="staging")]
    series += [always(LEFT, 0.8, service="no-process", slo=level) for level in LEVELS.slos]
    series += [(LEFT, {"service": "silent-for-minutes", "slo": "login"}, [(now - 200, 0.8)])]
    series += [(LEFT, {"service": "silent-for-long", "slo": "login"}, [(now - 1_200, 0.8)])]
    given(folder, series)
    server = Prometheus(folder, {"global": {}})
    server.start()
    yield server.url
    server.stop()


def asked(url: str, service: str, *, reason: str | None = None, policy: Policy = POLICY) -> Decision:
    """Return the gate's decision."""
    return decide(measure(PrometheusApi(url, timeout_seconds=60), service, LEVELS, policy), LEVELS, policy, reason)


def idle(*levels: str) -> Policy:
    """Return a policy that excuses levels without events."""
    return POLICY.model_copy(update={"may_be_idle": dict.fromkeys(levels, EXCUSED)})


ALLOWED = {
    "healthy": "every level has budget left",
    "nearly-spent": "small and reversible changes only, because of buy-latency",
    "one-bad-event": "every level has budget left",
    "quiet-hour": "every level has budget left",
}
FROZEN = {
    "spent": ("buy-latency", "the budget is spent"),
    "overspent": ("buy-availability, login", "the budget is spent"),
    "burning": ("login", "over 1h the budget was spent 14.5 times too fast"),
    "burning-longer": ("login", "over 6h the budget was spent 6.1 times too fast"),
    "spent-and-missing": ("buy-latency", "the budget is spent"),
    "spent-and-process-down": ("buy-latency", "the budget is spent"),
}
UNKNOWN = {
    "level-missing": "no data: its rules are not loaded, or nothing of it has happened yet",
    "not-a-number": "slo:error_budget:remaining is nan",
    "infinite": "slo:error_budget:remaining is inf",
    "burn-not-a-number": "slo:errors:ratio_rate6h is nan",
    "burn-missing": "there were events within 1h, and no share of bad ones: its rules are incomplete",
    "twice": "2 series are called slo:error_budget:remaining: ask a Prometheus that has one of each level",
}


@pytest.mark.parametrize("service", ALLOWED)
def test_a_release_is_allowed(prometheus: str, service: str) -> None:
    """Every level is known and has budget left; a single bad event in a quiet hour, or none at all, is no burn."""
    decision = asked(prometheus, service)

    assert (decision.verdict, decision.why) == (Verdict.ALLOWED, ALLOWED[service])


@pytest.mark.parametrize("service", FROZEN)
def test_a_release_is_frozen(prometheus: str, service: str) -> None:
    """A level has spent its budget, or spends it too fast; what is unknown of others does not matter."""
    levels, why = FROZEN[service]

    decision = asked(prometheus, service)

    assert (decision.verdict, decision.why) == (Verdict.FROZEN, f"frozen by {levels}")
    assert {level.why for level in decision.levels if level.verdict == "frozen"} == {why}


@pytest.mark.parametrize("service", UNKNOWN)
def test_a_level_that_is_not_known_is_named(prometheus: str, service: str) -> None:
    """One level of which nothing can be said is enough not to know."""
    decision = asked(prometheus, service)

    assert (decision.verdict, decision.why) == (Verdict.UNKNOWN, "nothing is known of login")
    assert [level.why for level in decision.levels if level.verdict == "unknown"] == [UNKNOWN[service]]


@pytest.mark.parametrize("service", ["silent-for-minutes", "silent-for-long"])
def test_a_level_that_has_fallen_silent_is_unknown(prometheus: str, service: str) -> None:
    """What was counted minutes ago says nothing of now, also while Prometheus still shows it, as it does for five."""
    decision = asked(prometheus, service)

    assert decision.verdict is Verdict.UNKNOWN
    (why,) = (level.why for level in decision.levels if level.level == "login")
    assert why.startswith("stale: Prometheus has counted nothing since ")


def test_a_process_that_is_not_scraped_makes_all_unknown(prometheus: str) -> None:
    """The events of a process that cannot be scraped are not counted, however good the rest looks."""
    decision = asked(prometheus, "process-down")

    assert decision.verdict is Verdict.UNKNOWN
    assert decision.why == "1 of 2 processes cannot be scraped: b:8000"


@pytest.mark.parametrize("service", ["no-process", "misspelt"])
def test_a_service_that_is_not_scraped_is_unknown(prometheus: str, service: str) -> None:
    """A budget from before, without a process that adds to it, is not a budget; nor is that of another service."""
    decision = asked(prometheus, service)

    assert decision.verdict is Verdict.UNKNOWN
    assert decision.why.startswith("no process of this service is scraped")


@pytest.mark.parametrize("reason", POLICY.exceptions)
def test_a_fix_goes_out_while_frozen(prometheus: str, reason: str) -> None:
    """What the policy excepts is let through, and the decision says by which level it was frozen, and why it went."""
    decision = asked(prometheus, "spent", reason=reason)

    assert decision.verdict is Verdict.ALLOWED
    assert decision.why == f"frozen by buy-latency, and let through: {POLICY.exceptions[reason]}"


@pytest.mark.parametrize("service", ["spent-and-missing", "spent-and-process-down", "level-missing", "no-process"])
def test_a_fix_does_not_make_known_what_is_unknown(prometheus: str, service: str) -> None:
    """An exception is from the freeze, not from having to know."""
    assert asked(prometheus, service, reason="fix").verdict is Verdict.UNKNOWN


def test_a_level_without_events_can_be_excused(prometheus: str) -> None:
    """The policy names it, and no process has counted such an event."""
    decision = asked(prometheus, "level-missing", policy=idle("login"))

    assert decision.verdict is Verdict.ALLOWED
    assert [level.why for level in decision.levels if level.verdict == "idle"] == [EXCUSED]


def test_an_excuse_does_not_cover_lost_rules(prometheus: str) -> None:
    """Events are counted, so that there must be a budget: its rules are missing."""
    decision = asked(prometheus, "level-missing-though-counted", policy=idle("login"))

    assert decision.verdict is Verdict.UNKNOWN
    assert "no data, though such events are counted: its rules are not loaded" in {x.why for x in decision.levels}


def test_excuses_alone_do_not_release(prometheus: str) -> None:
    """Where nothing at all has happened there is nothing to judge by."""
    decision = asked(prometheus, "nothing-happened", policy=idle(*LEVELS.slos))

    assert (decision.verdict, decision.why) == (Verdict.UNKNOWN, "nothing has happened that could be judged")


@pytest.mark.parametrize(("service", "status"), [("healthy", 0), ("spent", 1), ("level-missing", 2)])
def test_the_command_shows_every_level(
    prometheus: str, service: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each, the verdict below, and the exit status that a pipeline acts on."""
    ended = main(["--prometheus", prometheus, "--service", service])

    lines = capsys.readouterr().out.splitlines()
    assert ended == status
    assert [line.split()[0] for line in lines[2:-1]] == list(LEVELS.slos)
    assert lines[1].split() == ["service", "level", "budget", "left", "burn", "1h", "burn", "6h", "verdict"]
    assert lines[-1].split(":")[0] == Verdict(status).name


def test_machines_are_told_the_same(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json`: the verdict, what the release is for, and each level in numbers."""
    assert main(["--prometheus", prometheus, "--service", "burning", "--reason", "fix", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["service"], told["reason"]) == ("allowed", "burning", "fix")
    login = told["levels"][list(LEVELS.slos).index("login")]
    assert (login["level"], login["verdict"], login["percent_left"]) == ("login", "frozen", 80.0)
    assert login["burn"] == {"1h": pytest.approx(14.5), "6h": pytest.approx(0.3)}
