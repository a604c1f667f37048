"""What the outbox promises, on a real PostgreSQL and NATS, beside variants that are known to break each promise.

python benchmarks/bench_outbox.py FOLDER_OF_A_SERVICE [--quick] [--only throughput order latency backlog writes fsync]
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness import save

if TYPE_CHECKING:
    from outbox_servers import Servers

Arguments = argparse.Namespace


def main() -> None:
    """Run the parts that were asked for, print their tables and the verdict, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", type=Path, help="folder of a service")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--rows", type=int, default=1_000_000, help="the backlog")
    parser.add_argument("--held-seconds", type=float, default=60, help="how long a transaction holds xmin")
    parser.add_argument("--quick", action="store_true", help="all of it, small: only what is counted is judged")
    parser.add_argument("--result", default="outbox", help="name of the file in benchmarks/results")
    arguments = parser.parse_args()
    service = arguments.service.resolve()
    sys.path[:0] = [str(service), str(service / "src")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # for the processes that do the work
    from outbox_proofs import Proof, verdict  # noqa: PLC0415 - found once the service's folder is in the path
    from outbox_servers import servers  # noqa: PLC0415

    began = time.monotonic()
    document: dict[str, object] = {"python": platform.python_version(), "quick": arguments.quick}
    proofs: list[Proof] = []
    with servers() as running:
        for part in arguments.only:
            figures, proven = _measures(arguments, running)[part]()
            document[part] = figures
            proofs += proven
    document["proofs"] = verdict(proofs)
    document["seconds"] = round(time.monotonic() - began)
    save(arguments.result, document)
    print(f"{document['seconds']} s")
    if broken := [proof.name for proof in proofs if not proof.holds and (proof.counts or not arguments.quick)]:
        sys.exit(f"Not proven: {'; '.join(broken)}")


PARTS = ["throughput", "order", "latency", "backlog", "writes", "fsync"]


def _measures(arguments: Arguments, running: "Servers") -> dict[str, Callable[[], tuple[dict[str, object], list]]]:
    from functools import partial  # noqa: PLC0415

    from outbox_backlog import backlog  # noqa: PLC0415
    from outbox_latency import latency  # noqa: PLC0415
    from outbox_throughput import fsync_per_message, order, throughput  # noqa: PLC0415
    from outbox_writes import writes  # noqa: PLC0415

    if arguments.quick:
        return {
            "throughput": partial(throughput, running, events=2_000, rounds=1),
            "order": partial(order, running, events=4_000),
            "latency": partial(latency, running, rate=200, calm_seconds=1, held_seconds=1),
            "backlog": partial(backlog, running, rows=20_000, rows_held=10_000),
            "writes": partial(writes, running, seconds=1, rounds=1),
            "fsync": partial(fsync_per_message, running, events=500),
        }
    return {
        "throughput": partial(throughput, running, events=20_000, rounds=5),
        "order": partial(order, running, events=20_000),
        "latency": partial(latency, running, rate=1_000, calm_seconds=15, held_seconds=arguments.held_seconds),
        "backlog": partial(backlog, running, rows=arguments.rows, rows_held=100_000),
        "writes": partial(writes, running, seconds=5, rounds=3),
        "fsync": partial(fsync_per_message, running, events=5_000),
    }


if __name__ == "__main__":
    main()
