"""Releases with a mistake, on one of two instances."""

from dev.prove.fault import fault
from dev.prove.lane import Lane


@fault("BuyAvailabilityBudgetBurn", "releases", aftermath=("BuyAvailabilityBudgetBurn",))
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
