"""What `make prove` stands on: each alert has a fault, time is compressed as it says, and a proof can fail."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from dev.monitoring import Prometheus, Row
from dev.ops import slos
from dev.ops.alerts import read
from dev.ops.pages import names
from dev.prove import faults
from dev.prove.fault import FAULTS, Fault
from dev.prove.lane import Lane
from dev.prove.ledger import ledger
from dev.prove.proof import Proof, Prover
from dev.prove.scaled import rules, scaled
from dev.prove.sink import Message, Sink
from tests.support.programs import run

Tool = Callable[[str], Path]
LEVELS = slos.read()
ALERTS = read(LEVELS)


def test_each_alert_has_a_fault() -> None:
    """And each fault an alert; the heartbeat's is Prometheus's own end, which every run has."""
    assert faults.__all__
    assert {*FAULTS, "Watchdog"} == {*names(ALERTS, LEVELS)}
    assert [name for name, fault in FAULTS.items() if fault.severity not in ("page", "ticket", "security")] == []


def test_a_fault_is_told_as_its_alert_says() -> None:
    """A ticket is expected where tickets go."""
    causes = {name: alert.severity for name, alert in ALERTS.alerts.items() if name in FAULTS}

    assert {name: FAULTS[name].severity for name in causes} == causes


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("rate(a_total[5m]) > 0.5", "rate(a_total[3s]) > 0.5"),
        ("sum_over_time(b[30d])", "sum_over_time(b[432m])"),
        ("increase(c_total[10m] offset 7d)", "increase(c_total[6s] offset 6048s)"),
        ("rate(slo:events:increase5m[30s])", "rate(slo:events:increase5m[300ms])"),
    ],
    ids=["a window", "a month", "an offset", "a name"],
)
def test_windows_are_compressed_and_thresholds_are_not(written: str, expected: str) -> None:
    """A name that has a window in it stays what it is."""
    assert scaled(written) == expected


async def test_compressed_rules_are_rules(tool: Tool, tmp_path: Path) -> None:
    """Prometheus takes all of them; waits are compressed as well, and durations that alerts compare with."""
    paths = {name: tmp_path / name for name in rules(ALERTS, LEVELS)}
    for name, text in rules(ALERTS, LEVELS).items():
        paths[name].write_text(text)
    code, said = await run(tool("promtool"), "check", "rules", *map(str, paths.values()))
    causes: dict[str, Any] = yaml.safe_load((tmp_path / "causes.alerts.rules.yaml").read_text())
    lagging = next(rule for rule in causes["groups"][0]["rules"] if rule["alert"] == "OutboxLagging")

    assert code == 0, said
    assert (lagging["for"], lagging["keep_firing_for"]) == ("600ms", "3s")
    assert lagging["expr"].endswith("> 6")


class _Silent:
    """A Prometheus that finds nothing."""

    def query(self, _expression: str) -> list[Row]:
        return []


class _Showing:
    """A Prometheus in which nothing fires, and each query of a runbook finds something."""

    def query(self, expression: str) -> list[Row]:
        return [] if expression.startswith("ALERTS{service") else [Row({}, 1.0)]


class _Lane:
    """What a proof needs of a lane."""

    name = "servers"

    def __init__(self) -> None:
        self.aftermath: set[str] = set()

    def filled(self, text: str) -> str:
        return text

    def query(self, _statement: str) -> str:
        return ""


async def _nothing(_lane: Lane) -> None:
    await asyncio.sleep(0)


def _prover(prometheus: object, sink: Sink) -> Prover:
    lane = cast("Lane", _Lane())
    return Prover(lane, lane, cast("Prometheus", prometheus), sink)


async def test_a_fault_that_nobody_is_told_of_is_no_proof() -> None:
    """Above all not where it was never put in."""
    fault = Fault("WorkerDown", "servers", "Nothing.", _nothing, patience_seconds=0.2)

    proof = await _prover(_Silent(), Sink()).prove(fault)

    assert "was not told that it is firing" in proof.wrong


async def test_a_diagnosis_that_always_shows_something_is_no_proof() -> None:
    """A runbook whose queries find something where there is no fault would find it at night, too."""
    fault = Fault("WorkerDown", "servers", "Nothing.", _nothing, patience_seconds=0.2)

    proof = await _prover(_Showing(), Sink()).prove(fault)

    assert proof.wrong == "each block of Diagnosis shows something where nothing is to be seen"


def test_whoever_else_is_told_makes_a_proof_fail() -> None:
    """Unless the fault names it."""
    sink = Sink()
    sink.messages.append(Message("slack #tickets", "OutboxLagging", "servers", "firing", "", 5.0))
    prover = _prover(_Silent(), sink)
    alone = Fault("WorkerDown", "servers", "Nothing.", _nothing)
    with_it = Fault("WorkerDown", "servers", "Nothing.", _nothing, companions=frozenset({"OutboxLagging"}))

    with pytest.raises(Exception, match="it was not alone: OutboxLagging"):
        prover._only_expected(alone, Proof(alone), 1.0)
    proof = Proof(with_it)
    prover._only_expected(with_it, proof, 1.0)

    assert proof.also == {"OutboxLagging"}


def test_the_ledger_says_what_was_seen() -> None:
    """Alert, fault, receiver, seconds, who else was told."""
    proof = Proof(FAULTS["WorkerDown"], fired_after=1.26, resolved_after=4.0, blocks=5, also={"OutboxLagging"})

    page = ledger([proof], seconds=262.4)

    assert "1 of 1 alerts, 5 blocks of runbooks executed, in 262 s on" in page
    assert "| Every worker is killed with SIGKILL, and nothing starts another. | pagerduty" in page
    assert "| 1.3 | 4.0 | OutboxLagging |" in page
