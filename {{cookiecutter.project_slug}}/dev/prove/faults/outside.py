"""What only somebody outside notices: a step that no service level covers, a way that is blocked, a certificate."""

import asyncio
from datetime import timedelta

from dev.prove.fault import fault
from dev.prove.lane import Lane
from dev.prove.outside import Outside

_JOURNEY = ("SyntheticJourneyFailing", "SyntheticJourneyBudgetBurn")
# There is one instance: while it is replaced, there is none, for seconds that are minutes here.
_REPLACED = (*_JOURNEY, "ServiceDown", "EndpointUnreachable", "TrafficAbsent", "SloMetricAbsent")


def _outside(lane: Lane) -> Outside:
    assert lane.outside
    return lane.outside


async def _the_balancer_is_started(lane: Lane) -> None:
    lane.start_balancer()
    await asyncio.sleep(0)


async def _the_certificate_is_renewed(lane: Lane) -> None:
    _outside(lane).certificate.renew(timedelta(days=365))
    await asyncio.sleep(0)


async def _customers_come_again(lane: Lane) -> None:
    lane.customers.come.set()
    await asyncio.sleep(0)


@fault("CertificateExpiresSoon", "outside", severity="ticket", heal=_the_certificate_is_renewed)
async def a_certificate_is_good_for_an_hour(lane: Lane) -> None:
    """The certificate is replaced by one that is good for an hour, where 14 days are 3.4 hours."""
    _outside(lane).certificate.renew(timedelta(hours=1))
    await asyncio.sleep(0)


@fault("TrafficAbsent", "outside", heal=_customers_come_again, patience_seconds=40)
async def customers_stay_away(lane: Lane) -> None:
    """No customer comes any more, and a week ago there were many."""
    lane.customers.come.clear()
    await asyncio.sleep(0)


@fault("SyntheticJourneyStalled", "outside", severity="ticket", patience_seconds=40)
async def the_probe_is_killed(lane: Lane) -> None:
    """The probe is killed with SIGKILL, and nothing starts another."""
    for replica in lane.deployments["probe"]:
        assert replica.process
        replica.process.kill()


@fault(
    "SyntheticJourneyFailing",
    "outside",
    companions=_REPLACED,
    aftermath=("SyntheticJourneyBudgetBurn", "ErrorBudgetExhausted"),
)
async def a_release_cancels_nothing(lane: Lane) -> None:
    """A release that fails to cancel orders, for which there is no service level."""
    await lane.release("http", "fails-to-cancel")


@fault(
    "SyntheticJourneyBudgetBurn",
    "outside",
    companions=_REPLACED,
    aftermath=("SyntheticJourneyBudgetBurn", "ErrorBudgetExhausted"),
)
async def a_release_cancels_every_second_order(lane: Lane) -> None:
    """A release that fails to cancel every second order."""
    await lane.release("http", "fails-to-cancel-sometimes")


@fault("SloMetricAbsent", "outside", severity="ticket", patience_seconds=60, companions=_REPLACED)
async def a_release_counts_nothing(lane: Lane) -> None:
    """A release without the layer that counts requests: all alerts of its service levels are blind."""
    await lane.release("http", "uncounted")


@fault("EndpointUnreachable", "outside", heal=_the_balancer_is_started, companions=(*_JOURNEY, "TrafficAbsent"))
async def the_load_balancer_is_killed(lane: Lane) -> None:
    """The load balancer is killed with SIGKILL; the service behind it is well."""
    assert lane.balancer
    await asyncio.to_thread(lane.balancer.kill)
