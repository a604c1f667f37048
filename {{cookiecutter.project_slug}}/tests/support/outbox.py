"""What the tests of the outbox have in common: events, and a look at tables, metrics and log."""

from typing import Any

from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.db import transaction
from app.patterns.outbox import Event, Relay, publish


def an_event(type_: str = "order.placed", aggregate_id: str = "1", number: int = 0) -> Event:
    """Return an event of one aggregate."""
    return Event(type=type_, source="/orders", aggregate_id=aggregate_id, tenant="acme", data={"number": number})


async def given_events(engine: AsyncEngine, *events: Event) -> None:
    """Commit each event in a transaction of its own."""
    for event in events:
        async with transaction(engine) as session:
            await publish(session, event)


async def rows(engine: AsyncEngine) -> int:
    """Return how many events wait."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM outbox")) or 0)


async def attempts(engine: AsyncEngine) -> list[tuple[str, int]]:
    """Return type and number of refusals of each event that waits, in order."""
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT type, attempts FROM outbox ORDER BY id"))
        return [(row.type, row.attempts) for row in found]


async def parked_rows(engine: AsyncEngine) -> list[Any]:
    """Return what is parked, in order."""
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT * FROM outbox_parked ORDER BY id"))).all())


async def relay_all(relay: Relay) -> None:
    """Make passes until nothing is left that may be published now."""
    while await relay.relay_once():
        pass


class Counted:
    """What is added to a counter from now on."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    @property
    def more(self) -> float:
        """The increase so far."""
        return self._now() - self._before

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0
