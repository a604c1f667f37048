"""The proof of one alert: put its fault in, wait until it is told, follow its runbook, wait until its end is told."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dev.installation import Installation
from dev.monitoring import Prometheus
from dev.ops import runbooks
from dev.ops.runbooks import Block, Runbook
from dev.prove import delivery
from dev.prove.fault import Fault
from dev.prove.lane import Lane
from dev.prove.scaled import scaled
from dev.prove.sink import Message, Sink

_LOOK_SECONDS = 0.2
_SHOWN_SECONDS = 20.0  # a window has to fill, or to empty
RECEIVERS = {
    "page": delivery.PAGE,
    "ticket": delivery.TICKETS,
    "security": delivery.SECURITY,
    "heartbeat": delivery.HEARTBEAT,
}


class Disproved(Exception):
    """A claim did not hold; the message says which."""


@dataclass
class Proof:
    """What came of one alert."""

    fault: Fault
    fired_after: float = 0.0
    """Seconds from the fault to its message, in compressed time."""
    resolved_after: float = 0.0
    """From the beginning of the mitigation to the message of its end."""
    blocks: int = 0
    """Of the runbook, executed."""
    also: set[str] = field(default_factory=set)
    """What else was told of the lane: companions, and what earlier faults had left behind."""
    wrong: str = ""
    """Why it is none."""


class Prover:
    """Goes through the faults of one lane."""

    def __init__(
        self, lane: Lane, control: Lane, prometheus: Prometheus, sink: Sink, *, ignored: frozenset[str] = frozenset()
    ) -> None:
        """`ignored` are alerts that a busy machine causes by itself."""
        self._lane = lane
        self._control = control
        self._prometheus = prometheus
        self._sink = sink
        self._ignored = ignored
        self._begun = time.monotonic()

    async def prove(self, fault: Fault) -> Proof:
        """Return what came of it; whatever went wrong is in the proof, and the lane is healed as far as it can be."""
        proof = Proof(fault)
        self._lane.aftermath |= fault.aftermath
        try:
            await self._quiet(fault)
            await (self._prove_lasting(fault, proof) if fault.lasts else self._prove(fault, proof))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told, and the other faults are proven
            proof.wrong = str(exc) or type(exc).__name__
            with suppress(Exception):  # the next fault shall not suffer from this one
                await self._mitigate(fault, proof)
        return proof

    async def _prove(self, fault: Fault, proof: Proof) -> None:
        runbook = runbooks.read(fault.alert)
        await self._not_all(runbook, "Diagnosis", fault, self._control)
        begun = time.monotonic()
        assert fault.inject
        await fault.inject(self._lane)
        fired = await self._told(fault, begun, "firing")
        proof.fired_after = fired.at - begun
        await self._diagnosed(fault, proof)
        await self._not_all(runbook, "Verify", fault, self._lane)
        mended = time.monotonic()
        await self._mitigate(fault, proof)
        resolved = await self._told(fault, mended, "resolved")
        proof.resolved_after = resolved.at - mended
        for block in runbook.blocks["Verify"]:
            await self._shows(block, fault, "once it is over")
            proof.blocks += 1
        self._only_expected(fault, proof, begun)

    async def _prove_lasting(self, fault: Fault, proof: Proof) -> None:
        """An earlier fault of the lane has done it, and its end takes days."""
        fired = await self._told(fault, 0, "firing")
        proof.fired_after = fired.at - self._begun
        await self._diagnosed(fault, proof)
        await self._not_all(runbooks.read(fault.alert), "Verify", fault, self._lane)

    async def _diagnosed(self, fault: Fault, proof: Proof) -> None:
        for block in runbooks.read(fault.alert).blocks["Diagnosis"]:
            await self._shows(block, fault, "while the fault is on")
            proof.blocks += 1

    async def _mitigate(self, fault: Fault, proof: Proof) -> None:
        if fault.heal:  # first whoever it belongs to, then what the runbook says is left to do
            await fault.heal(self._lane)
        for block in runbooks.read(fault.alert).blocks["Mitigation"]:
            await self._execute(block, fault, self._lane)
            proof.blocks += 1

    async def _quiet(self, fault: Fault) -> None:
        """Return when nothing is told of the lane that earlier faults do not explain."""

        def disturbing() -> list[str]:
            rows = self._prometheus.query(f'ALERTS{{service="{self._lane.name}"}}')
            told = {(row.labels["alertname"], row.labels["severity"]) for row in rows}
            known = self._lane.aftermath | self._ignored
            own = (fault.alert, fault.severity) if not fault.lasts else ()
            return [name for name, severity in told if name not in known or (name, severity) == own]

        await self._until(lambda: not disturbing(), 60, lambda: f"before the fault: {disturbing()} in the lane")

    async def _told(self, fault: Fault, since: float, status: str) -> Message:
        receiver = RECEIVERS[fault.severity]

        def found() -> Message | None:
            of = self._sink.of(fault.alert, fault.service or self._lane.name)
            return next(
                (each for each in of if (each.receiver, each.status) == (receiver, status) and each.at > since), None
            )

        why = f"{receiver} was not told that it is {status} within {fault.patience_seconds:g} s"
        await self._until(lambda: found() is not None, fault.patience_seconds, lambda: why)
        message = found()
        assert message
        return message

    async def _shows(self, block: Block, fault: Fault, when: str) -> None:
        deadline = time.monotonic() + _SHOWN_SECONDS
        while not await self._execute(block, fault, self._lane) and block.word != "perhaps":
            if time.monotonic() > deadline:
                raise Disproved(f"line {block.line} of its runbook shows nothing {when}: {block.text.strip()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _not_all(self, runbook: Runbook, section: str, fault: Fault, lane: Lane) -> None:
        """Diagnosis must not show a fault that is not there, nor Verify an end that has not come: one block of each.

        A job that ends once a second has not done so in the last moment: so this waits, as it does for what is shown.
        """
        asked = [block for block in runbook.blocks[section] if block.kind != "sh" and block.word != "perhaps"]
        deadline = time.monotonic() + _SHOWN_SECONDS
        while asked and all([await self._execute(block, fault, lane) for block in asked]):
            if time.monotonic() > deadline:
                raise Disproved(f"each block of {section} shows something where nothing is to be seen")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _execute(self, block: Block, fault: Fault, lane: Lane) -> str:
        """Return what a block shows: nothing, or something."""
        service, text = fault.service or lane.name, lane.filled(block.text)
        match block.kind:
            case "promql":
                expression = scaled(text.replace("$service", service))
                rows = await asyncio.to_thread(self._prometheus.query, expression)
                return "\n".join(f"{dict(row.labels)} {row.value}" for row in rows)
            case "sql":
                shown = await asyncio.to_thread(lane.query_replica if block.word == "replica" else lane.query, text)
                if block.word.startswith("$"):
                    lane.found[block.word[1:]] = shown.partition("\n")[0].partition("|")[0]
                return shown
        said = ""
        for command in text.splitlines():
            if command.startswith("kubectl "):
                said += await lane.platform(command)
            else:
                said += await asyncio.to_thread(_shell, command, lane, fails=block.word == "fails")
        return said

    def _only_expected(self, fault: Fault, proof: Proof, since: float) -> None:
        told = {
            each.alert
            for each in self._sink.messages
            if each.service == self._lane.name and each.at > since and each.status == "firing"
        }
        proof.also = told - {fault.alert}
        if unexpected := proof.also - fault.companions - self._lane.aftermath - self._ignored:
            raise Disproved(f"it was not alone: {', '.join(sorted(unexpected))}")

    async def _until(self, condition: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise Disproved(await asyncio.to_thread(why))
            await asyncio.sleep(_LOOK_SECONDS)


def _shell(command: str, lane: Installation, *, fails: bool) -> str:
    if not command.strip() or command.startswith("#"):
        return ""
    done = subprocess.run(
        ["sh", "-c", command],
        env=lane.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if bool(done.returncode) != fails:
        raise Disproved(f"{command} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout + done.stderr
