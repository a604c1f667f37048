"""One run: installations, what watches them, and the faults of each lane one after the other, lanes side by side."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from dev.environment import ROOT, machine_variables
from dev.guardian import Guardian
from dev.monitoring import Alertmanager, Prometheus
from dev.ops import alerts, pages, runbooks, slos
from dev.ops.selectors import selectors
from dev.process import Process, StartFailed
from dev.prove import faults as _registered  # noqa: F401 - each module registers its own
from dev.prove import forks, history
from dev.prove.data_lane import DataLane
from dev.prove.delivery import delivering_to
from dev.prove.fault import Fault
from dev.prove.lane import PRELOADED, Lane, Monitoring
from dev.prove.proof import Disproved, Proof, Prover
from dev.prove.scaled import SCALE, prometheus_config, rules
from dev.prove.sink import Sink, receiving

CONTROL = "control"
SLOW = frozenset(
    {
        "BuyLatencyBudgetBurn",
        "ReadOrderLatencyBudgetBurn",
        "EventDeliveryBudgetBurn",
        "EventLoopBlocked",
        "ErrorBudgetExhausted",
    }
)
"""What a machine that does other work brings about by itself."""
# An alert on a service level waits for a number of bad events: where most of them are, more customers are worth it.
_SHAPES: dict[str, dict[str, Any]] = {
    CONTROL: {"customers": 1},
    "releases": {"http": 2, "customers": 4},
    "data": {"http": 2},
    "outside": {"outside": True},
}
"""Of lanes that are not like the others."""
_KINDS: dict[str, type[Lane]] = {CONTROL: DataLane, "data": DataLane}  # a quiet one must have all that is asked of it
_WARM_SECONDS = 120.0
_SILENT_SECONDS = 3.0  # five beats that do not come
_PATIENCE_SECONDS = 30.0
_BEGUN = time.monotonic()
_WATCHDOG = Fault(
    "Watchdog", CONTROL, "Prometheus is killed with SIGKILL: its heartbeat stops.", None, severity="heartbeat"
)


class Run:
    """Use `proofs` and `noise` when it is over."""

    def __init__(self, chosen: Iterable[Fault], folder: Path, *, ignored: frozenset[str] = frozenset()) -> None:
        """Nothing starts here."""
        self._chosen = [*chosen]
        self._folder = folder
        self._ignored = ignored
        self.proofs: list[Proof] = []
        self.unseen: list[str] = []
        """Metrics that a rule or a runbook asks for, and nobody exposes."""
        self.noise: list[str] = []
        """What was told of the control lane, which nothing was done to."""
        names = (CONTROL, *dict.fromkeys(fault.lane for fault in self._chosen))
        self._forks = folder / "forks"
        self._lanes = {
            name: _KINDS.get(name, Lane)(name, folder / name, self._forks, **_SHAPES.get(name, {})) for name in names
        }

    async def go(self) -> None:
        """Do all of it, and leave nothing running.

        Raises:
            StartFailed: with the reason.
        """
        with ExitStack() as stack:
            self._start_forks(stack)
            for lane in self._lanes.values():
                stack.callback(lane.stop)
            sink = stack.enter_context(receiving())
            prometheus = self._watched(stack, sink)
            say("starting the installations")
            await asyncio.gather(*(lane.start() for lane in self._lanes.values()))
            if "outside" in self._lanes:
                await asyncio.to_thread(history.write, self._folder / "prometheus" / "tsdb", "outside")
            prometheus.start()
            coming = [
                each for lane in self._lanes.values() for each in (lane.customers.run(), lane.ask_whether_ready())
            ]
            customers = [asyncio.create_task(each) for each in coming]
            try:
                await self._warm(prometheus)
                await self._prove(prometheus, sink)
            finally:
                for task in customers:
                    task.cancel()
                await asyncio.gather(*customers, return_exceptions=True)

    def _start_forks(self, stack: ExitStack) -> None:
        process = Process("forks", forks.server(self._forks, PRELOADED), env=machine_variables(), cwd=ROOT)
        process.start()
        stack.callback(process.stop)
        guardian = Guardian()
        guardian.look_after(process.pid)
        stack.callback(guardian.dismiss)
        if not process.wait_for_line("ready", timeout_seconds=60):
            raise StartFailed(f"what forks processes did not start: {' '.join(process.last_lines[-1:])}")

    def _watched(self, stack: ExitStack, sink: Sink) -> Prometheus:
        """Start Alertmanager, and return a Prometheus that is not yet started: what it cannot deliver at once waits."""
        config = delivering_to(sink.url, self._folder / "secrets", scale=SCALE)
        alertmanager = Alertmanager(self._folder / "alertmanager", config)
        alertmanager.start()
        stack.callback(alertmanager.stop)
        levels = slos.read()
        folder = self._folder / "rules"
        folder.mkdir()
        for name, text in rules(alerts.read(levels), levels).items():
            (folder / name).write_text(text)
        address = alertmanager.url.removeprefix("http://")
        targets = {name: lane.targets for name, lane in self._lanes.items()}
        targets["monitoring"] = {"alertmanager": [address]}
        outside = {
            name: (lane.outside.blackbox.url.removeprefix("http://"), lane.outside.questions)
            for name, lane in self._lanes.items()
            if lane.outside
        }
        prometheus = Prometheus(
            self._folder / "prometheus", prometheus_config([f"{folder}/*.yaml"], targets, address, outside)
        )
        stack.callback(prometheus.stop)
        for lane in self._lanes.values():
            lane.monitoring = Monitoring(prometheus, sink, folder)
        return prometheus

    async def _warm(self, prometheus: Prometheus) -> None:
        """Return when each lane has events in the windows of its service levels, and the start's own noise is over.

        Raises:
            StartFailed: it does not end: this machine is too busy, or a rule is wrong.
        """
        counted = 'slo:events:increase5m{slo="buy-availability"} > 0'
        noise = f'ALERTS{{severity!="heartbeat", alertname!~"{"|".join(self._ignored) or "none"}"}}'

        deadline = time.monotonic() + _WARM_SECONDS
        while True:
            begun = await asyncio.to_thread(prometheus.query, counted)
            told = await asyncio.to_thread(prometheus.query, noise)
            if len(begun) == len(self._lanes) and not told:
                break
            if time.monotonic() > deadline:
                names = sorted({f"{row.labels['alertname']} ({row.labels.get('service', '')})" for row in told})
                raise StartFailed(f"After {_WARM_SECONDS:g} s, without any fault, alerts fire: {', '.join(names)}")
            await asyncio.sleep(0.2)
        say("everything runs, customers come, and no alert fires")

    async def _prove(self, prometheus: Prometheus, sink: Sink) -> None:
        quiet_since = time.monotonic()
        provers = {
            name: Prover(lane, self._lanes[CONTROL], prometheus, sink, ignored=self._ignored)
            for name, lane in self._lanes.items()
        }
        await asyncio.gather(*(self._lane(name, prover) for name, prover in provers.items()))
        told = {each.alert for each in sink.messages if each.service == CONTROL and each.at > quiet_since}
        self.noise = sorted(told - self._ignored)
        self.unseen = await asyncio.to_thread(_unseen, prometheus)
        self.proofs.append(await _watchdog(prometheus, sink))

    async def _lane(self, name: str, prover: Prover) -> None:
        for fault in [each for each in self._chosen if each.lane == name]:
            proof = await prover.prove(fault)
            self.proofs.append(proof)
            _report(proof)


def _unseen(prometheus: Prometheus) -> list[str]:
    levels = slos.read()
    causes = alerts.read(levels)
    groups = [group for text in rules(causes, levels).values() for group in yaml.safe_load(text)["groups"]]
    asked = [rule["expr"] for group in groups for rule in group["rules"]]
    for name in pages.names(causes, levels):
        blocks = runbooks.read(name).blocks.values()
        asked += [block.text for section in blocks for block in section if block.kind == "promql"]
    wanted = {selector.metric for expression in asked for selector in selectors(expression)} - {""}
    rows = prometheus.query(f'count by (__name__) ({{__name__=~"{"|".join(sorted(wanted))}"}})')
    return sorted(wanted - {row.labels["__name__"] for row in rows})


async def _watchdog(prometheus: Prometheus, sink: Sink) -> Proof:
    """Prometheus dies, and whoever expects its heartbeat notices; it starts, and beats again."""
    proof = Proof(_WATCHDOG)

    async def until(seen: bool, since: float) -> float:  # noqa: FBT001 - a word of its own would not say more
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            beats = [each.at for each in sink.of("Watchdog") if each.at > since]
            if beats and seen:
                return beats[0] - since
            last = max([since, *beats])
            if not seen and time.monotonic() - last > _SILENT_SECONDS:
                return time.monotonic() - since
            await asyncio.sleep(0.1)
        raise Disproved("its heartbeat went on" if not seen else "it has no heartbeat")

    try:
        await until(seen=True, since=0)
        killed = time.monotonic()
        await asyncio.to_thread(prometheus.process.kill)
        proof.fired_after = await until(seen=False, since=killed)
        started = time.monotonic()
        await asyncio.to_thread(prometheus.start)
        proof.resolved_after = await until(seen=True, since=started)
    except Disproved as exc:
        proof.wrong = str(exc)
    _report(proof)
    return proof


def say(text: str) -> None:
    """Print a line with the seconds since the beginning."""
    print(f"{seconds_since_begin():6.1f} s  {text}", flush=True)


def seconds_since_begin() -> float:
    """Return how long it has taken so far."""
    return time.monotonic() - _BEGUN


def _report(proof: Proof) -> None:
    end = "it lasts" if proof.fault.lasts else f"resolved after {proof.resolved_after:.1f} s"
    say(f"{proof.fault.alert}: {proof.wrong or f'fired after {proof.fired_after:.1f} s, {end}'}")
