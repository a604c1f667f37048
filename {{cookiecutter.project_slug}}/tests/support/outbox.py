"""What the tests of the outbox have in common: events, and a look at the table."""

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


async def relay_all(relay: Relay) -> None:
    """Make passes until nothing is left that may be published now."""
    while await relay.relay_once():
        pass
