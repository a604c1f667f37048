"""From commit to acknowledgement at a steady rate, and the same while a transaction keeps vacuum from its work."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from outbox_proofs import Proof
from outbox_servers import Case, Servers, children
from sqlalchemy import make_url

_WARM_SECONDS = 3.0
_LAST_SECONDS = 10.0
# A reader that keeps its snapshot, such as a dump or a report, and a writer that does not commit.
_HOLD = {
    "reader": "SELECT count(*) FROM outbox_lane",
    "writer": "SELECT pg_current_xact_id()",
}


@dataclass(frozen=True, slots=True)
class _Run:
    variant: str
    holder: str
    calm_seconds: float
    held_seconds: float


def latency(
    servers: Servers, *, rate: int, calm_seconds: float, held_seconds: float
) -> tuple[dict[str, object], list[Proof]]:
    """Measure three runs: with an old reader, with an old writer, and with a relay that reads from the beginning."""
    half = held_seconds / 2
    runs = {
        "reader": _Run("lanes", "reader", calm_seconds, held_seconds),
        "writer": _Run("lanes", "writer", calm_seconds / 2, half),
        "control": _Run("no floor", "reader", calm_seconds / 2, half),
    }
    print(
        f"\ncommit -> acknowledgement at {rate} events/s, ms; a transaction holds xmin for {held_seconds:g} s or half"
    )
    print(f"{'relay, oldest transaction':<34}{'window':<12}{'events':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}")
    found = {name: _measured(servers, run, rate=rate) for name, run in runs.items()}
    calm, held = found["reader"]["calm"], found["reader"]["held"]
    growth = {name: windows["held, end"]["p99"] / windows["calm"]["p99"] for name, windows in found.items()}
    reached = calm["events"] / calm_seconds
    calm_met = calm["p50"] <= 3 and calm["p99"] <= 20 and reached >= 0.95 * rate
    ratio, control = held["p99"] / calm["p99"], found["control"]["held"]["p99"] / found["control"]["calm"]["p99"]
    return {"rate": rate, "windows": found, "growth_of_p99": growth}, [
        Proof(
            f"commit -> acknowledgement at {rate} events/s",
            "p50 <= 3 ms, p99 <= 20 ms",
            f"{calm['p50']:.1f} / {calm['p99']:.1f} ms",
            calm_met,
        ),
        Proof(
            "p99 while a reader holds xmin, against calm",
            "<= 2",
            round(ratio, 2),
            ratio <= 2,
            control="lanes read from their beginning",
            control_measured=round(control, 2),
            failed_as_known=control > 2,
        ),
        Proof(
            "nothing is missing after the latency runs",
            "0",
            sum(int(windows["missing"]["events"]) for windows in found.values()),
            not any(windows["missing"]["events"] for windows in found.values()),
            counts=True,
        ),
    ]


def _measured(servers: Servers, run: _Run, *, rate: int) -> dict[str, dict[str, float]]:
    seconds = _WARM_SECONDS + run.calm_seconds + run.held_seconds
    with servers.case() as case:
        wanted = (("serve", {"variant": run.variant}), ("produce", {"rate": rate, "seconds": seconds}))
        with children(*wanted, case=case) as (relay, producer):
            relay.go()
            producer.go()
            calm, held = asyncio.run(_hold(case, run))
            committed = producer.report()["committed"]
            asyncio.run(_until_empty(servers, case))
            acknowledged = relay.report(stop=True)["acknowledged"]
    windows = {
        "calm": calm,
        "held": held,
        "held, end": (max(held[0], held[1] - _LAST_SECONDS), held[1]),
    }
    figures: dict[str, dict[str, float]] = {}
    for name, (begin, end) in windows.items():
        waits = [acknowledged[id_] - at for id_, at in committed.items() if begin <= at < end and id_ in acknowledged]
        figures[name] = _percentiles(waits)
        told = " ".join(f"{figures[name][p]:>7.1f}" for p in ("p50", "p99", "p99.9"))
        print(f"{run.variant + ', ' + run.holder:<34}{name:<12}{len(waits):>8} {told}")
    figures["missing"] = {"events": len(committed.keys() - acknowledged.keys())}
    return figures


async def _hold(case: Case, run: _Run) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wait, hold a transaction open, and return both windows."""
    login = make_url(case.database_url)
    connection = await asyncpg.connect(user=login.username, host=login.query["host"], database=login.database)
    try:
        await asyncio.sleep(_WARM_SECONDS)
        calm = time.monotonic()
        await asyncio.sleep(run.calm_seconds)
        held = time.monotonic()
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(_HOLD[run.holder])
            await asyncio.sleep(run.held_seconds)
            ended = time.monotonic()
    finally:
        await connection.close()
    return (calm, held), (held, ended)


async def _until_empty(servers: Servers, case: Case) -> None:
    async with asyncio.timeout(60):
        while await asyncio.to_thread(servers.waiting, case):
            await asyncio.sleep(0.1)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=1000, method="inclusive")
    figures = {"p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998]}
    return {"events": len(seconds), **{name: round(value * 1000, 2) for name, value in figures.items()}}
