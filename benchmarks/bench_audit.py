"""What writers pay for the audit log: transactions per second, against the same transaction without an entry.

    python benchmarks/bench_audit.py SERVICE [rounds]

with the interpreter of a service that is installed. 16 writers, each on a connection of its own, insert an order in the
way of the service: tenant, statement, commit. Tenants are drawn unevenly, as they are. Beside the template's own way,
with a sealer at work in a process of its own, stand two that chain each entry to the one before inside the transaction:
per tenant, and over all tenants. They must show what they are known for, or the figures prove nothing.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import harness

SERVICE = Path(sys.argv[1]).resolve()
sys.path[:0] = [str(SERVICE / "src"), str(SERVICE)]
os.chdir(SERVICE)

from dev.postgres import PostgreSQL  # noqa: E402
from sqlalchemy import text  # noqa: E402 - the service's, which is named on the command line
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession  # noqa: E402

from app.kit.clock import SystemClock  # noqa: E402
from app.kit.context import Context, bind  # noqa: E402
from app.kit.db import DatabaseSettings, create_engine, transaction  # noqa: E402
from app.kit.ids import random_hex, uuid7  # noqa: E402
from app.patterns import migrations  # noqa: E402
from app.patterns.audit_log import AuditLogSettings, Sealer, digest, record  # noqa: E402

WRITERS = 16
SECONDS = 4.0
TENANTS = [f"tenant-{number}" for number in range(50)]
WEIGHTS = [1 / (number + 1) for number in range(50)]  # the largest has about a fifth of the work
TARGETS = {"audit log": 0.80}
STATE = {"state": "placed", "currency": "EUR", "total_minor": 2500}

CHAINS = """
    CREATE TABLE chain_head (key text PRIMARY KEY, hash bytea NOT NULL);
    CREATE TABLE chained (LIKE audit_log INCLUDING IDENTITY INCLUDING DEFAULTS INCLUDING INDEXES);
    ALTER TABLE chained ADD hash bytea NOT NULL;
    GRANT SELECT, UPDATE ON chain_head TO app_user;
    GRANT INSERT ON chained TO app_user;
"""
INSERT_ORDER = text("""
    INSERT INTO orders (id, tenant_id, state, currency, total_minor, items, created_at, version)
    VALUES (:id, :tenant, 'pending', 'EUR', 2500, '[]', now(), 1)
""")
LOCK_HEAD = text("SELECT hash FROM chain_head WHERE key = :key FOR UPDATE")
MOVE_HEAD = text("UPDATE chain_head SET hash = :hash WHERE key = :key")
APPEND = text("""
    INSERT INTO chained (tenant_id, actor, request_id, trace_id, action, resource_type, resource_id, after, hash)
    VALUES (:tenant, 'customer-7', :request_id, '', 'order.received', 'order', :id, :after, :hash)
""")
Step = Callable[[AsyncSession, str, str], Awaitable[None]]


async def nothing(_session: AsyncSession, _tenant: str, _id: str) -> None:
    """The same transaction without an entry."""


async def recorded(session: AsyncSession, tenant: str, id_: str) -> None:
    """The template's way."""
    kind = "order"
    await record(
        session,
        tenant=tenant,
        action="order.received",
        resource_type=kind,
        resource_id=id_,
        before=None,
        after={"id": id_, **STATE},
    )


def chained(key_of: Callable[[str], str]) -> Step:
    """Return the way in which each entry holds the hash of the one before, per key."""

    async def step(session: AsyncSession, tenant: str, id_: str) -> None:
        key, after = {"key": key_of(tenant)}, digest({"id": id_, **STATE})
        previous = await session.scalar(LOCK_HEAD, key)
        new = sha256(previous + after).digest()
        row = {"tenant": tenant, "request_id": random_hex(), "id": id_, "after": after, "hash": new}
        await session.execute(APPEND, row)
        await session.execute(MOVE_HEAD, {**key, "hash": new})

    return step


ROWS: dict[str, Step] = {
    "plain insert": nothing,
    "audit log": recorded,
    "chain per tenant": chained(lambda tenant: tenant),
    "chain over all": chained(lambda _tenant: "all"),
}


def main() -> None:
    """Measure, print the table, write the JSON."""
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgreSQL(Path(folder) / "postgres")
        postgres.start()
        try:
            figures, entries, unsealed = asyncio.run(measure(postgres.url(), rounds))
        finally:
            postgres.stop()
    rows = table(figures)
    print(f"{entries} entries, of which {unsealed} were not yet sealed at the end")
    document = {"rows": rows, "entries": entries, "unsealed": unsealed, "writers": WRITERS, "seconds": SECONDS}
    harness.save("audit", document)


async def measure(url: str, rounds: int) -> tuple[harness.Figures, int, int]:
    """Return transactions per second, one figure per round for each row; entries, and how many wait for their seal."""
    settings = DatabaseSettings.model_validate({"url": url, "pool_size": WRITERS})
    owner = create_engine(settings, application_name="owner")
    await migrations.upgrade(owner, migrations.MigrationSettings(folder=SERVICE / "migrations"))
    async with owner.begin() as connection:
        for statement in CHAINS.split(";")[:-1]:
            await connection.execute(text(statement))
        heads = [{"key": key, "hash": bytes(32)} for key in ("all", *TENANTS)]
        await connection.execute(text("INSERT INTO chain_head VALUES (:key, :hash)"), heads)
    engine = create_engine(settings, application_name="writers", role="app_user")
    sealer = subprocess.Popen([sys.executable, __file__, str(SERVICE), "seal", url], stdout=subprocess.DEVNULL)
    figures: harness.Figures = {row: [] for row in ROWS}
    try:
        for step in ROWS.values():
            await transactions(engine, step, 1.0)  # warm: connections, prepared statements, caches
        for done in range(rounds):
            order = list(ROWS)[done % len(ROWS) :] + list(ROWS)[: done % len(ROWS)]
            for row in order:
                figures[row].append(await transactions(engine, ROWS[row], SECONDS) / SECONDS)
        async with owner.connect() as connection:
            entries = await connection.scalar(text("SELECT count(*) FROM audit_log"))
            sealed = await connection.scalar(text("SELECT sum(length(leaves)) / 32 FROM audit_seal"))
    finally:
        sealer.terminate()
        sealer.wait(10)
    await engine.dispose()
    await owner.dispose()
    return figures, int(entries or 0), int(entries or 0) - int(sealed or 0)


async def transactions(engine: AsyncEngine, step: Step, seconds: float) -> int:
    """Return how many transactions the writers have committed."""
    end = time.monotonic() + seconds
    draw = random.Random(1)  # noqa: S311 - picks tenants, hides nothing

    async def write() -> int:
        done = 0
        while time.monotonic() < end:
            (tenant,), id_ = draw.choices(TENANTS, WEIGHTS), uuid7()
            with bind(Context(request_id=random_hex(), tenant=tenant, actor="customer-7")):
                async with transaction(engine) as session:
                    await session.execute(INSERT_ORDER, {"id": id_, "tenant": tenant})
                    await step(session, tenant, str(id_))
            done += 1
        return done

    return sum(await asyncio.gather(*(write() for _ in range(WRITERS))))


def table(figures: harness.Figures) -> list[dict[str, object]]:
    """Print medians with their ratio to the first row, round by round, and return the same as data."""
    base = next(iter(figures.values()))
    rows: list[dict[str, object]] = []
    print(f"{'transaction':24} {'per second':>11} {'ratio':>7} {'spread':>13}   target")
    for row, values in figures.items():
        ratios = sorted(value / other for value, other in zip(values, base, strict=True))
        ratio, per_second = statistics.median(ratios), statistics.median(values)
        wanted = f"   at least {TARGETS[row]:.2f}" if row in TARGETS else ""
        print(f"{row:24} {per_second:11.0f} {ratio:7.2f} {ratios[0]:6.2f}-{ratios[-1]:.2f}{wanted}")
        rows.append({"transaction": row, "per_second": round(per_second), "ratio": round(ratio, 3), "ratios": ratios})
    return rows


async def seal(url: str) -> None:
    """Seal until terminated."""
    settings = DatabaseSettings.model_validate({"url": url, "pool_size": 1})
    engine = create_engine(settings, application_name="sealer", role="app_jobs")
    await Sealer(engine, SystemClock(), AuditLogSettings()).run(asyncio.Event())


if __name__ == "__main__":
    if sys.argv[2:3] == ["seal"]:
        asyncio.run(seal(sys.argv[3]))
    else:
        main()
