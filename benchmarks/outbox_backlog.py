"""What a claim costs while a large backlog is worked off, and while deleted rows cannot be removed."""

import asyncio
import statistics

import asyncpg
from outbox_proofs import Proof
from outbox_servers import Case, Servers, reports
from outbox_throughput import BATCH
from sqlalchemy import make_url


def backlog(servers: Servers, *, rows: int, rows_held: int) -> tuple[dict[str, object], list[Proof]]:
    """Empty a full table past the broker, and return the cost of a claim by tenths of the way."""
    found: dict[str, list[float]] = {}
    with servers.case(events=rows) as case:
        found[f"{rows} rows"] = _deciles(case, "lanes")
    for variant in ("lanes", "no floor"):
        with servers.case(events=rows_held) as case:
            found[f"{rows_held} rows, old reader, {variant}"] = asyncio.run(_beside_a_reader(case, variant))
    print("\nclaim (SELECTs of a pass), median ms in each tenth of the way from the full table to the empty one")
    for name, deciles in found.items():
        print(f"{name:<40}" + "".join(f"{value:>7.1f}" for value in deciles) + f"   {deciles[-1] / deciles[0]:.2f}")
    whole, ours, control = ((deciles, deciles[-1] / deciles[0]) for deciles in found.values())
    return {"claim_ms": found}, [
        Proof(
            f"claim at the end of {rows} rows, against the beginning",
            "<= 1.3",
            round(whole[1], 2),
            whole[1] <= 1.3,
        ),
        Proof(
            f"the same, {rows_held} rows, while a reader holds xmin",
            "<= 1.3",
            round(ours[1], 2),
            ours[1] <= 1.3,
            control="lanes read from their beginning",
            control_measured=round(control[1], 2),
            failed_as_known=control[1] > 2,
        ),
    ]


async def _beside_a_reader(case: Case, variant: str) -> list[float]:
    login = make_url(case.database_url)
    connection = await asyncpg.connect(user=login.username, host=login.query["host"], database=login.database)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("SELECT count(*) FROM outbox_lane")
            return await asyncio.to_thread(_deciles, case, variant)
    finally:
        await connection.close()


def _deciles(case: Case, variant: str) -> list[float]:
    (report,) = reports(case, "relay", variant=variant, broker="instant", claims=True, **BATCH)
    claims: list[float] = report["claims"]
    tenth = len(claims) // 10
    return [round(statistics.median(claims[at * tenth : (at + 1) * tenth]) * 1000, 2) for at in range(10)]
