"""How fast relays empty a table, against the broker's own limit in the same rounds; and whether they keep the order."""

import statistics
import tempfile
from pathlib import Path

from outbox_proofs import Proof
from outbox_servers import Case, Servers, inversions, nats_server, reports

BATCH = {"lanes_per_pass": 8, "events_per_lane": 64}
_SMALL_BATCH = {"lanes_per_pass": 8, "events_per_lane": 16}  # more of them, so that relays meet more often
# Role, processes, variant, aggregates.
_ROWS: dict[str, tuple[str, int, str, int]] = {
    "broker alone (publish_async)": ("broker", 1, "", 5000),
    "1 relay": ("relay", 1, "lanes", 5000),
    "2 relays": ("relay", 2, "lanes", 5000),
    "control: 1 lease relay": ("relay", 1, "lease", 5000),
}
_ONCE: dict[str, tuple[str, int, str, int]] = {
    "4 relays": ("relay", 4, "lanes", 5000),
    "8 relays": ("relay", 8, "lanes", 5000),
    "1 relay, only 50 aggregates": ("relay", 1, "lanes", 50),
}


def throughput(servers: Servers, *, events: int, rounds: int) -> tuple[dict[str, object], list[Proof]]:
    """Measure events per second, in interleaved rounds."""
    rates: dict[str, list[float]] = {row: [] for row in _ROWS}
    for number in range(rounds):
        names = list(_ROWS)
        for row in names[number % len(names) :] + names[: number % len(names)]:
            rates[row].append(_rate(servers, *_ROWS[row], events=events))
    for row, how in _ONCE.items():
        rates[row] = [_rate(servers, *how, events=events)]
    base = rates["broker alone (publish_async)"]
    print(f"\n{events} events, batches of {BATCH['lanes_per_pass'] * BATCH['events_per_lane']}, {rounds} rounds")
    print(f"{'who':<34}{'events/s':>10}{'of the limit':>14}")
    ratios: dict[str, float] = {}
    for row, values in rates.items():
        same_rounds = base if len(values) == len(base) else [statistics.median(base)]
        ratios[row] = statistics.median(value / limit for value, limit in zip(values, same_rounds, strict=True))
        print(f"{row:<34}{statistics.median(values):>10.0f}{ratios[row]:>14.2f}")
    proof = Proof(
        "one relay against publish_async alone", ">= 0.65", round(ratios["1 relay"], 3), ratios["1 relay"] >= 0.65
    )
    return {"events_per_second": rates, "ratios": ratios}, [proof]


def fsync_per_message(servers: Servers, *, events: int) -> tuple[dict[str, object], list[Proof]]:
    """Measure the same with a broker that syncs each message before it acknowledges it. No target: it is a disk's."""
    rates: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-outbox-") as folder,
        nats_server(Path(folder), sync_interval="always") as broker,
    ):
        for who, role in (("broker alone", "broker"), ("1 relay", "relay")):
            with servers.case(events=events, broker=broker) as case:
                rates[who] = _per_second(case, role, processes=1, variant="lanes", events=events)
    print(f"\nfsync per message, {events} events")
    for who, rate in rates.items():
        print(f"{who:<34}{rate:>10.0f}{rate / rates['broker alone']:>14.2f}")
    return {"events_per_second": rates}, []


def order(servers: Servers, *, events: int) -> tuple[dict[str, object], list[Proof]]:
    """Count what came out of order with three relays at once, and what was left behind."""
    wanted = {
        "lanes": ("lanes", "watched", 50),
        "lanes, many aggregates": ("lanes", "watched", 2000),
        "lease": ("lease", "watched", 50),
        "lanes, 2 % refused for 1.5 s": ("lanes", "refusing", 400),
        "uncapped floor, 2 % refused for 1.5 s": ("uncapped", "refusing", 400),
    }
    print(f"\norder, 3 relays, {events} events")
    print(f"{'variant':<40}{'inversions':>11}{'in the stream':>15}{'left behind':>13}")
    found: dict[str, dict[str, int]] = {}
    for name, (variant, broker, aggregates) in wanted.items():
        with servers.case(events=events, aggregates=aggregates) as case:
            if variant == "lease":
                servers.postgres.execute("CREATE INDEX ON outbox (id)", database=case.database)
            options = {
                "variant": variant,
                "broker": broker,
                "retry_seconds": 0.3,
                "retry_max_seconds": 1,  # each process refuses by its own clock: a pause must not outlast the patience
                "patience_seconds": 6,
                **_SMALL_BATCH,
            }
            reports(case, "relay", processes=3, **options)
            wrong, stored = inversions(case)
            found[name] = {"inversions": wrong, "in_stream": stored, "left_behind": servers.waiting(case)}
        print(f"{name:<40}{wrong:>11}{stored:>15}{found[name]['left_behind']:>13}")

    def clean(name: str) -> bool:
        return found[name] == {"inversions": 0, "in_stream": events, "left_behind": 0}

    calm, faulty = "lanes", "lanes, 2 % refused for 1.5 s"
    uncapped = found["uncapped floor, 2 % refused for 1.5 s"]
    return {"variants": found}, [
        Proof(
            "3 relays keep the order",
            "0 inversions, nothing lost",
            found[calm]["inversions"] + found["lanes, many aggregates"]["inversions"],
            clean(calm) and clean("lanes, many aggregates"),
            control="SKIP LOCKED lease",
            control_measured=f"{found['lease']['inversions']} inversions",
            failed_as_known=found["lease"]["inversions"] > 0,
            counts=True,
        ),
        Proof(
            "3 relays keep the order while events are refused",
            "0 inversions, nothing lost",
            found[faulty]["inversions"],
            clean(faulty),
            control="floor not capped at kept rows",
            control_measured=f"{uncapped['inversions']} inv., {uncapped['left_behind']} left",
            failed_as_known=uncapped["inversions"] + uncapped["left_behind"] > 0,
            counts=True,
        ),
    ]


def _rate(servers: Servers, role: str, processes: int, variant: str, aggregates: int, *, events: int) -> float:
    with servers.case(events=events, aggregates=aggregates) as case:
        if variant == "lease":
            servers.postgres.execute("CREATE INDEX ON outbox (id)", database=case.database)
        return _per_second(case, role, processes=processes, variant=variant, events=events)


def _per_second(case: Case, role: str, *, processes: int, variant: str, events: int) -> float:
    done = reports(case, role, processes=processes, variant=variant, **BATCH)
    return events / (max(each["ended"] for each in done) - min(each["began"] for each in done))
