"""A million old rows archived, verified and removed, and what customers notice of it.

python benchmarks/bench_retention.py FOLDER_OF_A_SERVICE [--quick]

A real service with PostgreSQL, NATS and a worker gets orders at a steady rate, before, while and after `app retention
run` removes two months: one as a whole, and one of which the rows of a tenant are under a legal hold. A request counts
from the moment it was due, so that none hides behind a slow one.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from harness import save
from outbox_proofs import Proof, verdict

if TYPE_CHECKING:
    from dev.drill.fleet import Fleet

FACTOR = 2.0
PER_SECOND = 40
HELD = "tenant-held"
DUE = datetime.now(UTC) - timedelta(days=731)  # by rules of 730 days the months before this one are due
LAST = DUE.replace(day=1) - timedelta(days=1)
MONTHS = {"whole": f"{LAST.replace(day=1) - timedelta(days=1):%Y-%m}", "held": f"{LAST:%Y-%m}"}
ORDER = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 1, "unit_price_minor": 500}]}


@dataclass(slots=True)
class Customers:
    """Requests at a steady rate: half of them place an order, the others read one or list some."""

    client: httpx.AsyncClient
    phase: str = "before"
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Send requests until `stop` is set."""
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                due = began + number / PER_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self._request(number, due))
                number += 1

    async def _request(self, number: int, due: float) -> None:
        phase = self.phase
        try:
            answer = await self._send(number)
            if not answer.is_success:
                self.failed.append(f"{answer.status_code} {answer.text[:200]}")
        except httpx.TransportError as exc:
            self.failed.append(repr(exc))
        self.seconds.setdefault(phase, []).append(time.monotonic() - due)

    async def _send(self, number: int) -> httpx.Response:
        if number % 2 == 0 or not self.placed:
            answer = await self.client.post("/v1/orders", json=ORDER)
            if answer.is_success:
                self.placed.append(answer.json()["id"])
            return answer
        if number % 4 == 1:
            return await self.client.get(f"/v1/orders/{self.placed[number % len(self.placed)]}")
        return await self.client.get("/v1/orders")


def main() -> None:
    """Run it, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", type=Path, help="folder of a service")
    parser.add_argument("--quick", action="store_true", help="small: only what is counted is judged")
    arguments = parser.parse_args()
    service = arguments.service.resolve()
    sys.path[:0] = [str(service), str(service / "src")]
    os.chdir(service)
    rows, calm_seconds = (20_000, 3.0) if arguments.quick else (1_000_000, 30.0)
    with tempfile.TemporaryDirectory() as folder:
        document, proofs = asyncio.run(measure(Path(folder), rows, calm_seconds))
    document |= {"python": platform.python_version(), "quick": arguments.quick, "proofs": verdict(proofs)}
    save("retention", document)
    if broken := [proof.name for proof in proofs if not proof.holds and (proof.counts or not arguments.quick)]:
        sys.exit(f"Not proven: {'; '.join(broken)}")


async def measure(folder: Path, rows: int, calm_seconds: float) -> tuple[dict[str, object], list[Proof]]:
    """Start everything, fill it, and remove what is old under traffic."""
    from dev.drill.fleet import Fleet  # noqa: PLC0415 - found once the service's folder is in the path

    fleet = Fleet(folder, workers=1, durable=True)
    try:
        await fleet.start()
        seats = [asyncio.create_task(seat.run()) for seat in fleet.seats]
        await fleet.ready()
        given = await fill(fleet, rows)
        removal = Removal(fleet, folder / "archives")
        async with httpx.AsyncClient(
            base_url=fleet.url, headers={"Authorization": f"Bearer {await fleet.token()}"}, timeout=30
        ) as client:
            customers = Customers(client)
            code, took = await under_traffic(customers, removal.run, calm_seconds)
        proofs = await judge(removal, customers, given, code)
        for seat in seats:
            seat.cancel()
        await asyncio.gather(*seats, return_exceptions=True)
    finally:
        fleet.stop()
    figures = {phase: percentiles(seconds) for phase, seconds in customers.seconds.items()}
    print(f"\n{'requests':<12}{'number':>8}{'p50 ms':>10}{'p99 ms':>10}{'longest ms':>12}")
    for phase, row in figures.items():
        print(f"{phase:<12}{row['number']:>8}{row['p50_ms']:>10.1f}{row['p99_ms']:>10.1f}{row['longest_ms']:>12.1f}")
    print(f"{rows} rows in {took:.1f} s: {took / rows * 1e6:.1f} microseconds a row")
    return {"rows": rows, "seconds": round(took, 1), "requests": figures}, proofs


async def under_traffic(
    customers: Customers, removing: Callable[[], Awaitable[int]], calm_seconds: float
) -> tuple[int, float]:
    """Return the exit status of the removal and its seconds, with customers before, meanwhile and after."""
    stop = asyncio.Event()
    traffic = asyncio.create_task(customers.run(stop))
    customers.phase = "warm-up"
    await asyncio.sleep(min(5.0, calm_seconds))
    customers.phase = "before"
    await asyncio.sleep(calm_seconds)
    customers.phase, began = "meanwhile", time.monotonic()
    code = await removing()
    took = time.monotonic() - began
    customers.phase = "after"
    await asyncio.sleep(calm_seconds)
    stop.set()
    await traffic
    return code, took


class Removal:
    """`app retention`, as an operator runs it."""

    def __init__(self, fleet: "Fleet", archives: Path) -> None:
        self.fleet = fleet
        # Months of other tables, which are empty, are due as well.
        self._env = {"APP_RETENTION__ARCHIVE_URL": f"file://{archives}", "APP_RETENTION__MONTHS_PER_RUN": "100"}

    async def run(self) -> int:
        """Remove what is due."""
        return await self.command("run")

    async def command(self, *words: str) -> int:
        """Run one of its commands, and return the exit status."""
        return await self.fleet.run(f"retention-{words[0]}", "retention", *words, within_seconds=1_800, **self._env)


async def fill(fleet: "Fleet", rows: int) -> dict[str, str]:
    """Put nine tenths of the rows into one month and the rest into another, and return what is where."""
    if await fleet.run("partitions", "partitions", "ahead", "--since", MONTHS["whole"]):
        raise SystemExit("\n".join(fleet.said("partitions")[-3:]))
    began = time.monotonic()
    for month, number in ((MONTHS["whole"], rows * 9 // 10), (MONTHS["held"], rows // 10)):
        fleet.query(f"""
            INSERT INTO {partition(month)}
                (id, tenant_id, state, currency, total_minor, items, created_at, version)
            SELECT CAST(lpad(to_hex({milliseconds(month)} + n), 12, '0') || '7000'
                        || substr(md5(CAST(n AS text)), 1, 16) AS uuid),
                CASE WHEN n % 5 = 0 THEN '{HELD}' ELSE 'tenant-' || n % 50 END, 'pending', 'EUR', 1 + n % 10000,
                jsonb_build_array(jsonb_build_object('sku', md5(CAST(n AS text)), 'quantity', 1 + n % 9,
                    'unit_price_minor', n % 10000)), now(), 1
            FROM generate_series(1, {number}) AS n
        """)  # noqa: S608 - of our own words
    # Of the first month nobody is held.
    fleet.query(f"UPDATE {partition(MONTHS['whole'])} SET tenant_id = 'tenant-0' WHERE tenant_id = '{HELD}'")  # noqa: S608
    fleet.query("VACUUM ANALYZE")
    print(f"{rows} rows are there after {time.monotonic() - began:.0f} s")
    if await fleet.run("hold", "retention", "hold", HELD, "--reason", "the measurement"):
        raise SystemExit("the hold was refused")
    return {
        "whole": checksum(fleet, partition(MONTHS["whole"])),
        "goes": checksum(fleet, partition(MONTHS["held"]), f"tenant_id <> '{HELD}'"),
        "stays": checksum(fleet, partition(MONTHS["held"]), f"tenant_id = '{HELD}'"),
    }


async def judge(removal: Removal, customers: Customers, given: dict[str, str], code: int) -> list[Proof]:
    """Compare what is where with what was."""
    fleet = removal.fleet
    whole, part = (f"orders/{month}/1" for month in MONTHS.values())
    verified = [await removal.command("verify", name) for name in (whole, part)]
    restored = [
        await removal.command("restore", name, "--into", f"restored_{at}") for at, name in enumerate((whole, part))
    ]
    back = [checksum(fleet, f"restored_{at}") for at in range(2)]
    left = fleet.query(f"SELECT to_regclass('{partition(MONTHS['whole'])}') IS NULL")
    stays = checksum(fleet, partition(MONTHS["held"]))
    new = int(fleet.query("SELECT count(*) FROM orders WHERE tenant_id = 'acme'"))
    calm = percentiles([*customers.seconds["before"], *customers.seconds["after"]])
    busy = percentiles(customers.seconds["meanwhile"])
    ratio = busy["p99_ms"] / calm["p99_ms"]

    def counted(name: str, target: str, measured: Any, *, met: bool) -> Proof:  # noqa: ANN401 - printed as it is
        return Proof(name, target, measured, met=met, counts=True)

    return [
        counted("the run ends well", "exit status 0", code, met=code == 0),
        counted("both archives are verified", "exit status 0", verified, met=verified == [0, 0]),
        counted(
            "restored from them, all rows are as before", "equal", restored, met=back == [given["whole"], given["goes"]]
        ),
        counted("the month without a hold is gone", "t", left, met=left == "t"),
        counted(
            "of the other one just the held rows stay", "equal", stays.partition(" ")[0], met=stays == given["stays"]
        ),
        counted(
            "orders placed meanwhile are all there", str(len(customers.placed)), new, met=new == len(customers.placed)
        ),
        counted("requests that failed", "0", len(customers.failed), met=not customers.failed),
        Proof("p99 of requests, against before and after", f"<= {FACTOR}x", f"{ratio:.2f}x", met=ratio <= FACTOR),
    ]


def checksum(fleet: "Fleet", table: str, where: str = "true") -> str:
    """Return how many rows there are, and a sum over all of their texts."""
    return fleet.query(
        f"SELECT count(*) || ' ' || coalesce(sum(hashtextextended(CAST(t AS text), 0)), 0) FROM {table} t WHERE {where}"  # noqa: S608
    )


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the figures of some requests."""
    cuts = statistics.quantiles(seconds, n=100)
    milliseconds = {"p50_ms": cuts[49], "p99_ms": cuts[98], "longest_ms": max(seconds)}
    return {"number": len(seconds), **{name: round(value * 1000, 2) for name, value in milliseconds.items()}}


def milliseconds(month: str) -> int:
    """Return when a month begins."""
    return int(datetime.strptime(f"{month}Z", "%Y-%m%z").timestamp() * 1000)


def partition(month: str) -> str:
    """Return the name of a month's table."""
    return f"orders_{month.replace('-', '_')}"


if __name__ == "__main__":
    main()
