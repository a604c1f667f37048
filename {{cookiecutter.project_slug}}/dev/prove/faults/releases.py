"""Releases with a mistake, on one of two instances; and what comes from outside: attackers, a missing collector."""

import asyncio

import httpx

from dev.prove.fault import fault
from dev.prove.lane import Lane

_FORGED = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vbmUiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJ4In0.AAAA"
_PER_SECOND, _CONNECTIONS = 40, 10


@fault("BuyAvailabilityBudgetBurn", "releases", aftermath=("BuyAvailabilityBudgetBurn", "ErrorBudgetExhausted"))
async def a_release_fails_to_take_orders(lane: Lane) -> None:
    """A release whose every second order ends in an exception, on one of two instances."""
    await lane.release("http", "fails-to-buy")


@fault("BuyLatencyBudgetBurn", "releases", aftermath=("BuyLatencyBudgetBurn",))
async def a_release_is_slow_to_take_orders(lane: Lane) -> None:
    """A release that needs 0.7 s for an order, on one of two instances."""
    await lane.release("http", "slow-to-buy")


@fault("ReadOrderAvailabilityBudgetBurn", "releases", aftermath=("ReadOrderAvailabilityBudgetBurn",))
async def a_release_fails_to_show_orders(lane: Lane) -> None:
    """A release whose every second look at an order ends in an exception, on one of two instances."""
    await lane.release("http", "fails-to-read")


@fault("ReadOrderLatencyBudgetBurn", "releases", aftermath=("ReadOrderLatencyBudgetBurn",))
async def a_release_is_slow_to_show_orders(lane: Lane) -> None:
    """A release that needs 0.7 s to show an order, on one of two instances."""
    await lane.release("http", "slow-to-read")


@fault("SeriesBudgetExceeded", "releases", severity="ticket", patience_seconds=30)
async def a_release_has_a_label_for_each_user(lane: Lane) -> None:
    """A release with a metric that has a label for each user, on one of two instances."""
    await lane.release("http", "labels-by-user")


@fault("LogVolumeOverBudget", "releases", severity="ticket", patience_seconds=45)
async def a_release_writes_many_lines(lane: Lane) -> None:
    """A release that writes ten lines more for each order that is looked at, on one of two instances."""
    await lane.release("http", "chatty")


async def _the_issuer_is_started(lane: Lane) -> None:
    lane.issuer = lane.start_issuer()
    await asyncio.sleep(0)


@fault(
    "LoginBudgetBurn",
    "releases",
    heal=_the_issuer_is_started,
    companions=("BuyAvailabilityBudgetBurn", "ReadOrderAvailabilityBudgetBurn"),
    aftermath=("LoginBudgetBurn",),
)
async def the_issuer_is_gone_when_a_process_starts(lane: Lane) -> None:
    """The token issuer is killed, and one of two instances starts without the keys that the other one has."""
    assert lane.issuer
    await asyncio.to_thread(lane.issuer.kill)
    await lane.restart(lane.deployments["http"][-1])


@fault("ErrorBudgetExhausted", "releases", severity="ticket", lasts=True, patience_seconds=60)
async def a_budget_is_spent(_: Lane) -> None:
    """What the releases before have spent."""


async def _the_attacker_gives_up(lane: Lane) -> None:
    await lane.end_tasks()


@fault("AuthenticationFailureSpike", "outside", severity="security", heal=_the_attacker_gives_up)
async def forged_tokens_are_tried(lane: Lane) -> None:
    """Somebody sends forged tokens over ten connections, some 40 a second."""

    async def attack() -> None:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {_FORGED}"}, timeout=5) as client:
            while True:
                await client.get(f"{lane.deployments['http'][0].url}/v1/orders")
                await asyncio.sleep(_CONNECTIONS / _PER_SECOND)

    lane.tasks += [asyncio.create_task(attack()) for _ in range(_CONNECTIONS)]
