"""What goes wrong in a drill, and when: drawn from a seed before anything starts, so that a drill can be repeated."""

import random
from dataclasses import dataclass
from enum import StrEnum

from dev.crashing_worker import CrashPoint

_DEEPEST = 4  # a worker dies at the 1st to 4th time it reaches its crash point


class Restart(StrEnum):
    """What goes down as a whole; it comes up again at once."""

    POSTGRES_STOPPED = "PostgreSQL stopped"
    POSTGRES_KILLED = "PostgreSQL killed"
    NATS_STOPPED = "NATS stopped"
    NATS_KILLED = "NATS killed"
    HTTP_SERVER_KILLED = "HTTP server killed"
    EVERYTHING_KILLED = "everything killed"
    """As in a power cut: workers, HTTP server, NATS and PostgreSQL."""


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """A worker is killed at once, whatever it does; the one that follows dies at a crash point; the next one stays."""

    worker: int
    point: CrashPoint
    nth: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong when so many orders have been asked for."""

    after_orders: int
    what: Restart | WorkerDeath


@dataclass(frozen=True, slots=True)
class Plan:
    """One drill."""

    orders: int
    per_second: float
    seed: int
    workers: int
    faults: tuple[Fault, ...]


def draw(*, orders: int, per_second: float, seed: int, rounds: int, workers: int) -> Plan:
    """Return a plan with every kind of restart and every crash point `rounds` times, in random order."""
    # Not for cryptography: the point of this generator is that it can be repeated.
    dice = random.Random(seed)  # noqa: S311
    what: list[Restart | WorkerDeath] = [*Restart] * rounds
    for number, point in enumerate([*CrashPoint] * rounds):
        what.append(WorkerDeath(number % workers, point, dice.randint(1, _DEEPEST)))
    dice.shuffle(what)
    # Evenly spread with some play, and done well before the end: the last fault needs traffic too.
    gap = orders * 0.8 / len(what)
    moments = [int(gap * (number + dice.random())) for number in range(len(what))]
    return Plan(orders, per_second, seed, workers, tuple(map(Fault, moments, what)))
