"""What telling the relays costs the writers: transactions per second with each way of doing it."""

import re
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from outbox_proofs import Proof
from outbox_servers import Case, Servers, children, reports
from sqlalchemy import make_url

_CLIENTS = 48
_TABLES = (
    "CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)",
    "CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account integer NOT NULL)",
    "INSERT INTO account SELECT n, 0 FROM generate_series(1, 10000) AS n",
    "GRANT SELECT, INSERT, UPDATE ON account, sale TO app_user",
)
_SCRIPT = r"""
\set account random(1, 10000)
BEGIN;
UPDATE account SET balance = balance - 1 WHERE id = :account;
INSERT INTO sale (account) VALUES (:account);
INSERT INTO outbox (lane, event_id, tenant_id, aggregate, type, envelope) VALUES
    (:account % 64, gen_random_uuid(), 'bench', 'bench/sales/' || :account, 'sale.made', '{{"data": "{padding}"}}');
{notify}
COMMIT;
"""
_WAYS = ("without", "debounced", "in each transaction")


def writes(servers: Servers, *, seconds: float, rounds: int) -> tuple[dict[str, object], list[Proof]]:
    """Measure the database's limit by pgbench, and the service's own write path."""
    rates: dict[str, list[float]] = {way: [] for way in _WAYS}
    for number in range(rounds):
        for way in _WAYS[number % 3 :] + _WAYS[: number % 3]:
            with servers.case() as case:
                _prepare(servers, case)
                rates[way].append(_pgbench(servers, case, way, seconds))
    with servers.case() as case:
        _prepare(servers, case)
        (own,) = reports(case, "write", sessions=_CLIENTS, seconds=seconds / 2, turns=max(1, rounds * 2))
    path: dict[str, list[float]] = own["rates"]
    print(f"\nbusiness transactions with an event, {_CLIENTS} sessions; NOTIFY")
    print(f"{'':<34}{'tx/s':>10}{'of without':>12}")
    debounced, control = (_ratio(rates[way], rates["without"]) for way in _WAYS[1:])
    service = _ratio(path["debounced"], path["without"])
    for name, values, ratio in (
        ("pgbench, without", rates["without"], 1.0),
        ("pgbench, debounced", rates["debounced"], debounced),
        ("pgbench, in each transaction", rates["in each transaction"], control),
        ("service, without", path["without"], 1.0),
        ("service, debounced", path["debounced"], service),
    ):
        print(f"{name:<34}{statistics.median(values):>10.0f}{ratio:>12.2f}")
    return {"pgbench": rates, "service": path}, [
        Proof(
            "writers with the debounced NOTIFY, against none (pgbench)",
            ">= 0.85",
            round(debounced, 2),
            debounced >= 0.85,
            control="NOTIFY in each transaction",
            control_measured=round(control, 2),
            failed_as_known=control < 0.85,
        ),
        Proof(
            "the service's own write path, the same",
            ">= 0.85",
            round(service, 2),
            service >= 0.85,
        ),
    ]


def _ratio(values: list[float], base: list[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, base, strict=True))


def _prepare(servers: Servers, case: Case) -> None:
    for statement in _TABLES:
        servers.postgres.execute(statement, database=case.database)


def _pgbench(servers: Servers, case: Case, way: str, seconds: float) -> float:
    login = make_url(case.database_url)
    notify = "SELECT pg_notify('outbox', '');" if way == "in each transaction" else ""
    with tempfile.TemporaryDirectory(prefix="bench-outbox-") as folder, ExitStack() as stack:
        script = Path(folder) / "script.sql"
        script.write_text(_SCRIPT.format(notify=notify, padding="x" * 400))
        if way == "debounced":
            (notifier,) = stack.enter_context(children(("notify", {}), case=case))
            notifier.go()
        command = [servers.postgres.program("pgbench"), "-n", "-M", "prepared", "-f", script, "-T", f"{seconds:.0f}"]
        where = ["-h", login.query["host"], "-U", login.username, "-c", str(_CLIENTS), "-j", "2", case.database]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=True, timeout=seconds + 60)
        if way == "debounced":
            notifier.report(stop=True)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return float(found[1])
