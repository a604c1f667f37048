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

_LOOK_SECONDS = 0.1
_RECEIVERS = {"page": delivery.PAGE, "ticket": delivery.TICKETS, "security": delivery.SECURITY}


class Disproved(Exception):
    """A claim did not hold; the message says which."""


@dataclass
class Proof:
    """What came of one alert."""

    fault: Fault
    receiver: str = ""
    fired_after: float = 0.0
    """Seconds from the fault to its message, in compressed time."""
    resolved_after: float = 0.0
    """From the beginning of the mitigation to the message of its end."""
    blocks: int = 0
    """Of the runbook, executed."""
    also: set[str] = field(default_factory=set)
    """Companions that were told."""
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

    async def prove(self, fault: Fault) -> Proof:
        """Return what came of it; whatever went wrong is in the proof, and the lane is healed as far as it can be."""
        proof = Proof(fault)
        try:
            await self._quiet(fault)
            await self._prove(fault, proof)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told, and the other faults are proven
            proof.wrong = str(exc) or type(exc).__name__
            with suppress(Exception):  # the next fault shall not suffer from this one
                await self._mitigate(fault, proof)
        return proof

    async def _prove(self, fault: Fault, proof: Proof) -> None:
        runbook = runbooks.read(fault.alert)
        receiver = _RECEIVERS[fault.severity]
        await self._all_empty(runbook, "Diagnosis")
        begun = time.monotonic()
        await fault.inject(self._lane)
        fired = await self._told(fault, receiver, begun, "firing")
        proof.receiver, proof.fired_after = receiver, fired.at - begun
        for block in runbook.blocks["Diagnosis"]:
            await self._shows(block, "while the fault is on")
            proof.blocks += 1
        await self._all_empty(runbook, "Verify")
        mended = time.monotonic()
        await self._mitigate(fault, proof)
        resolved = await self._told(fault, receiver, mended, "resolved")
        proof.resolved_after = resolved.at - mended
        for block in runbook.blocks["Verify"]:
            await self._shows(block, "once it is over")
            proof.blocks += 1
        self._only_expected(fault, proof, begun)

    async def _mitigate(self, fault: Fault, proof: Proof) -> None:
        if fault.heal:  # first whoever it belongs to, then what the runbook says is left to do
            await fault.heal(self._lane)
        for block in runbooks.read(fault.alert).blocks["Mitigation"]:
            await self._execute(block, self._lane)
            proof.blocks += 1

    async def _quiet(self, fault: Fault) -> None:
        """Return when nothing is told of the lane that earlier faults do not explain."""

        def disturbing() -> list[str]:
            rows = self._prometheus.query(f'ALERTS{{service="{self._lane.name}"}}')
            told = {(row.labels["alertname"], row.labels["severity"]) for row in rows}
            known = self._lane.aftermath | self._ignored
            return [
                name
                for name, severity in told
                if name not in known or (name, severity) == (fault.alert, fault.severity)
            ]

        await self._until(lambda: not disturbing(), 60, lambda: f"before the fault: {disturbing()} in the lane")

    async def _told(self, fault: Fault, receiver: str, since: float, status: str) -> Message:
        def found() -> Message | None:
            of = self._sink.of(fault.alert, self._lane.name)
            return next(
                (each for each in of if (each.receiver, each.status) == (receiver, status) and each.at > since), None
            )

        why = f"{receiver} was not told that it is {status} within {fault.patience_seconds:g} s"
        await self._until(lambda: found() is not None, fault.patience_seconds, lambda: why)
        message = found()
        assert message
        return message

    async def _shows(self, block: Block, when: str) -> None:
        async def shown() -> bool:
            return bool(await self._execute(block, self._lane)) or block.word == "perhaps"

        deadline = time.monotonic() + 10
        while not await shown():
            if time.monotonic() > deadline:
                raise Disproved(f"line {block.line} of its runbook shows nothing {when}: {block.text.strip()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _all_empty(self, runbook: Runbook, section: str) -> None:
        """Diagnosis must not show a fault that is not there, nor Verify an end that has not come: one block of each."""
        asked = [block for block in runbook.blocks[section] if block.kind != "sh" and block.word != "perhaps"]
        lane = self._control if section == "Diagnosis" else self._lane
        shown = [await self._execute(block, lane) for block in asked]
        if asked and all(shown):
            raise Disproved(f"each block of {section} shows something where nothing is to be seen")

    async def _execute(self, block: Block, lane: Lane) -> str:
        """Return what a block shows: nothing, or something."""
        text = lane.filled(block.text)
        match block.kind:
            case "promql":
                rows = await asyncio.to_thread(self._prometheus.query, scaled(text))
                return "\n".join(f"{dict(row.labels)} {row.value}" for row in rows)
            case "sql":
                return await asyncio.to_thread(lane.query, text)
        said = ""
        for command in text.splitlines():
            if command.startswith("kubectl "):
                said += await lane.platform(_as_written(command, lane))
            else:
                said += await asyncio.to_thread(_shell, command, lane, fails=block.word == "fails")
        return said

    def _only_expected(self, fault: Fault, proof: Proof, since: float) -> None:
        told = {
            each.alert
            for each in self._sink.messages
            if each.service == self._lane.name and each.at > since and each.status == "firing"
        }
        others = told - {fault.alert}
        proof.also = others & fault.companions
        self._lane.aftermath |= fault.aftermath
        if unexpected := others - fault.companions - self._lane.aftermath - self._ignored:
            raise Disproved(f"it was not alone: {', '.join(sorted(unexpected))}")

    async def _until(self, condition: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise Disproved(await asyncio.to_thread(why))
            await asyncio.sleep(_LOOK_SECONDS)


def _as_written(command: str, lane: Lane) -> str:
    return command.replace(f'"{lane.name}"', '"$service"', 1)


def _shell(command: str, lane: Installation, *, fails: bool) -> str:
    if not command.strip() or command.startswith("#"):
        return ""
    done = subprocess.run(
        ["sh", "-c", command], env=lane.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    if bool(done.returncode) != fails:
        raise Disproved(f"{command} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout + done.stderr
