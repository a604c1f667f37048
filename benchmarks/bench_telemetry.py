"""What observability costs: CPU per request, memory and time to start, against the same service without it.

python benchmarks/bench_telemetry.py FOLDER_OF_A_SERVICE get orders processes
"""

import argparse
import contextlib
import io
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness import HERE, load, measure, proportional_set_size, save, servers, table

GET = b"GET /v1/things/7 HTTP/1.1\r\nhost: bench\r\nuser-agent: bench\r\naccept: */*\r\n\r\n"
ORDER = b'{"currency":"EUR","items":[{"sku":"tea-1","quantity":2,"unit_price_minor":1250}]}'


def main() -> None:
    """Run the parts that were asked for, print their tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", type=Path, help="folder of a service")
    parser.add_argument("parts", nargs="*", type=_part, help=f"of {', '.join(MEASURES)}; none means all")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=150, help="no new round of a table begins after this")
    arguments = parser.parse_args()
    service = arguments.service.resolve()
    sys.path[:0] = [str(service), str(service / "src")]
    document: dict[str, object] = {"python": platform.python_version()}
    for part in arguments.parts or MEASURES:
        print()
        document[part] = MEASURES[part](arguments)
    save("telemetry", document)


def _part(name: str) -> str:
    if name not in MEASURES:  # not by `choices`, which some versions of Python also ask about having none
        raise argparse.ArgumentTypeError(f"there is no part {name}")
    return name


def get(arguments: argparse.Namespace) -> object:
    """Measure a trivial GET."""
    import get_stacks  # noqa: PLC0415 - found once the service's folder is in the path

    print("GET of a route that does nothing")
    with servers("get_stacks", list(get_stacks.STACKS), environment()) as running:
        figures = measure(running, GET, rounds=arguments.rounds, requests=500, seconds=arguments.seconds)
    return table(figures, get_stacks.TARGETS)


def orders(arguments: argparse.Namespace) -> object:
    """Measure placing an order: two transactions, a call to the payment provider, an event."""
    import order_stacks  # noqa: PLC0415

    print("POST /v1/orders")
    with surroundings() as (env, request), servers("order_stacks", list(order_stacks.STACKS), env) as running:
        figures = measure(running, request, rounds=arguments.rounds, requests=300, seconds=arguments.seconds)
    return table(figures, order_stacks.TARGETS)


def processes(arguments: argparse.Namespace) -> object:
    """Measure how long the process takes to answer, and how much memory it holds after some requests."""
    rows = ("the orders alone", "the service, 10 % sampled")
    seconds: dict[str, list[float]] = {row: [] for row in rows}
    megabytes: dict[str, list[float]] = {row: [] for row in rows}
    with surroundings() as (env, request):
        for done in range(min(arguments.rounds, 5)):
            for row in rows if done % 2 else reversed(rows):
                with servers("order_stacks", [row], env) as running:
                    server = running[row]
                    load(server.port, request, 1)
                    seconds[row].append(time.monotonic() - server.began)
                    load(server.port, request, 200)
                    megabytes[row].append(proportional_set_size(server.pid))
    print(f"{'process':34} {'first answer s':>15} {'memory (PSS) MB':>17}")
    for row in rows:
        print(f"{row:34} {statistics.median(seconds[row]):15.2f} {statistics.median(megabytes[row]):17.1f}")
    ratios = [statistics.median(kind[rows[1]]) / statistics.median(kind[rows[0]]) for kind in (seconds, megabytes)]
    print(f"{'ratio':34} {ratios[0]:15.2f} {ratios[1]:17.2f}   at most 1.30 each")
    return {"first_answer_seconds": seconds, "pss_megabytes": megabytes, "ratios": ratios}


def collector_outage(arguments: argparse.Namespace) -> object:
    """Measure whether requests notice that the collector accepts spans and never answers, every request sampled."""
    import outage  # noqa: PLC0415

    return outage.measured(environment(), seconds=min(arguments.seconds, 60))


MEASURES = {"get": get, "orders": orders, "processes": processes, "outage": collector_outage}


@contextlib.contextmanager
def surroundings() -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield the variables of a service whose database and provider run, and a request that places an order."""
    import asyncio  # noqa: PLC0415

    from dev.environment import ROOT, Addresses, service_name, variables  # noqa: PLC0415
    from dev.http_server import serving  # noqa: PLC0415
    from dev.payment_simulator import PaymentSimulator  # noqa: PLC0415
    from dev.postgres import PostgreSQL  # noqa: PLC0415
    from dev.token_issuer import SigningKey, TokenIssuer  # noqa: PLC0415

    from app.kit.db import DatabaseSettings, create_engine  # noqa: PLC0415
    from app.patterns import migrations  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        postgres = PostgreSQL(Path(folder) / "postgres", durable=False)
        postgres.start()
        stack.callback(postgres.stop)
        postgres.create_database("bench")
        engine = create_engine(
            DatabaseSettings.model_validate({"url": postgres.url("bench")}), application_name="bench"
        )
        with contextlib.redirect_stdout(io.StringIO()):  # what it logs
            asyncio.run(migrations.upgrade(engine, migrations.MigrationSettings(folder=ROOT / "migrations")))
        issuer = TokenIssuer(SigningKey.generate(), audience=service_name())
        addresses = Addresses(
            database_url=postgres.url("bench"),
            broker_url="nats://127.0.0.1:1",  # only the worker talks to it
            payments_url=stack.enter_context(serving(PaymentSimulator().app())),
            jwks_url=stack.enter_context(serving(issuer.app())) + "/.well-known/jwks.json",
            http_port=0,
            worker_port=0,
        )
        token = issuer.mint(tenant="bench", actor="bench", scope="orders:read orders:write")
        head = f"POST /v1/orders HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(ORDER)}\r\n\r\n"
        own = {**variables(addresses), "APP_MIGRATIONS__FOLDER": str(ROOT / "migrations")}
        yield {**environment(), **own}, head.encode() + ORDER


def environment() -> dict[str, str]:
    """Return the environment of a server process: this one's, with the folders that were put in the path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path[:2], str(HERE)])}


if __name__ == "__main__":
    main()
