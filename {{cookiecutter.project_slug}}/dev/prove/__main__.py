"""Fires every alert by its fault, follows its runbook, and writes down what came of it. `make prove` runs it."""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from dev.monitoring import Alertmanager, Prometheus
from dev.ops import alerts, slos
from dev.ops.tools import ToolMissing, find
from dev.process import StartFailed
from dev.prove import faults as _registered  # noqa: F401 - each module registers its own
from dev.prove.delivery import delivering_to
from dev.prove.fault import FAULTS, Fault
from dev.prove.lane import Lane
from dev.prove.proof import Proof, Prover
from dev.prove.scaled import SCALE, prometheus_config, rules
from dev.prove.sink import receiving

CONTROL = "control"
_REPLICAS = {"releases": 2}
_WARM_SECONDS = 120.0
_SLOW = frozenset(
    {"BuyLatencyBudgetBurn", "ReadOrderLatencyBudgetBurn", "EventDeliveryBudgetBurn", "EventLoopBlocked"}
    | {"ErrorBudgetExhausted"}
)


def main() -> None:
    """Exit with 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", metavar="ALERT", help="prove these and no others")
    parser.add_argument("--busy", action="store_true", help="the machine does other work: do not mind slow answers")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS.values() if not arguments.only or fault.alert in arguments.only]
    try:
        for program in ("prometheus", "prometheus-alertmanager"):
            find(program)
        folder = Path(tempfile.mkdtemp(prefix="prove-"))
        proofs, noise = asyncio.run(_run(chosen, folder, _SLOW if arguments.busy else frozenset()))
    except (ToolMissing, StartFailed) as exc:
        sys.exit(f"prove: {exc}")
    for proof in proofs:
        if proof.wrong:
            print(f"NOT PROVEN {proof.fault.alert}: {proof.wrong}", file=sys.stderr)
    if noise:
        print(f"The control instance, which nothing was done to, was told of: {', '.join(noise)}", file=sys.stderr)
    print(f"{sum(not proof.wrong for proof in proofs)} of {len(proofs)} alerts are proven. Logs: {folder}")
    sys.exit(bool(noise) or any(proof.wrong for proof in proofs))


async def _run(chosen: list[Fault], folder: Path, ignored: frozenset[str]) -> tuple[list[Proof], list[str]]:
    levels = slos.read()
    lanes = {
        name: Lane(name, folder / name, http=_REPLICAS.get(name, 1))
        for name in (CONTROL, *dict.fromkeys(fault.lane for fault in chosen))
    }
    with ExitStack() as stack:
        sink = stack.enter_context(receiving())
        alertmanager = Alertmanager(folder / "alertmanager", delivering_to(sink.url, folder / "secrets", scale=SCALE))
        alertmanager.start()  # before Prometheus: what cannot be delivered at once waits
        stack.callback(alertmanager.stop)
        for lane in lanes.values():
            stack.callback(lane.stop)
        _say("starting the installations")
        await asyncio.gather(*(lane.start() for lane in lanes.values()))
        (folder / "rules").mkdir()
        for name, text in rules(alerts.read(levels), levels).items():
            (folder / "rules" / name).write_text(text)
        files = [str(path) for path in sorted((folder / "rules").iterdir())]
        config = prometheus_config(
            files, {name: lane.targets for name, lane in lanes.items()}, alertmanager.url.removeprefix("http://")
        )
        prometheus = Prometheus(folder / "prometheus", config)
        prometheus.start()
        stack.callback(prometheus.stop)
        customers = [asyncio.create_task(lane.customers.run()) for lane in lanes.values()]
        try:
            await _warm(prometheus, len(lanes), ignored)
            _say("everything runs, customers come, and no alert fires")
            quiet_since = time.monotonic()
            every = [
                _lane(
                    Prover(lane, lanes[CONTROL], prometheus, sink, ignored=ignored),
                    [f for f in chosen if f.lane == name],
                )
                for name, lane in lanes.items()
            ]
            proofs = [proof for proven in await asyncio.gather(*every) for proof in proven]
        finally:
            for task in customers:
                task.cancel()
            await asyncio.gather(*customers, return_exceptions=True)
        return proofs, sorted(
            {each.alert for each in sink.messages if each.service == CONTROL and each.at > quiet_since} - ignored
        )


async def _lane(prover: Prover, chosen: list[Fault]) -> list[Proof]:
    proofs = []
    for fault in chosen:
        proof = await prover.prove(fault)
        proofs.append(proof)
        told = proof.wrong or f"fired after {proof.fired_after:.1f} s, resolved after {proof.resolved_after:.1f} s"
        _say(f"{fault.alert}: {told}")
    return proofs


async def _warm(prometheus: Prometheus, lanes: int, ignored: frozenset[str]) -> None:
    """Return when each lane has events in the windows of its service levels, and the start's own noise is over."""
    counted = 'slo:events:increase5m{slo="buy-availability"} > 0'
    noise = f'ALERTS{{severity!="heartbeat", alertname!~"{"|".join(ignored) or "none"}"}}'

    async def rows(expression: str) -> int:
        return len(await asyncio.to_thread(prometheus.query, expression))

    async with asyncio.timeout(_WARM_SECONDS):
        while await rows(counted) < lanes or await rows(noise):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.2)


_BEGUN = time.monotonic()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _BEGUN:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
