"""The broker, the events, and the payment provider."""

import asyncio

import nats

from dev.prove.fault import fault
from dev.prove.lane import Lane


async def _the_broker_is_started(lane: Lane) -> None:
    await lane.start_broker()


async def _the_broker_takes_large_events_again(lane: Lane) -> None:
    lane.nats.more.clear()
    await lane.restart_broker()


async def _the_provider_is_well(lane: Lane) -> None:
    await lane.disturb_payments()


@fault("OutboxLagging", "servers", heal=_the_broker_is_started)
async def the_broker_is_killed(lane: Lane) -> None:
    """NATS is killed with SIGKILL, and nothing starts another."""
    await lane.kill_broker()


@fault("OutboxEventsParked", "servers", severity="ticket", heal=_the_broker_takes_large_events_again)
async def the_broker_takes_small_events_alone(lane: Lane) -> None:
    """NATS is configured to take no message of more than 600 bytes."""
    lane.nats.more["max_payload"] = 600
    await lane.restart_broker()


@fault("DependencyFailing", "servers", severity="ticket", heal=_the_provider_is_well)
async def the_provider_answers_errors(lane: Lane) -> None:
    """The payment provider answers each call with 503."""
    await lane.disturb_payments(down=True)


async def _whoever_publishes_stops(lane: Lane) -> None:
    await lane.end_tasks()


@fault("MessagesFailing", "outside", severity="ticket", heal=_whoever_publishes_stops)
async def somebody_publishes_what_is_no_event(lane: Lane) -> None:
    """Another service publishes messages under our subjects that are no events, ten a second."""

    async def publish() -> None:
        client = await nats.connect(lane.nats.url())
        try:
            while True:
                await client.jetstream().publish("events.order.placed", b"not an event")
                await asyncio.sleep(0.1)
        finally:
            await client.close()

    lane.tasks.append(asyncio.create_task(publish()))


@fault(
    "EventDeliveryBudgetBurn",
    "servers",
    companions=("OutboxLagging",),
    aftermath=("EventDeliveryBudgetBurn", "ErrorBudgetExhausted"),
)
async def the_broker_is_away_for_half_a_minute(lane: Lane) -> None:
    """NATS is killed, and comes back after 38 s: what was written first takes effect later than promised."""
    await lane.kill_broker()
    await asyncio.sleep(38)
    await lane.start_broker()
