"""What watches can fail as well: rules without a route, receivers that refuse, a collector that is away."""

import asyncio
import signal

import yaml

from dev.prove.delivery import HEARTBEAT
from dev.prove.fault import fault
from dev.prove.lane import Lane, Monitoring

_RULE = {"alert": "Mine", "expr": "vector(1)", "labels": {"severity": "warning", "service": "monitoring"}}


def _monitoring(lane: Lane) -> Monitoring:
    assert lane.monitoring
    return lane.monitoring


async def _the_rule_is_deleted(lane: Lane) -> None:
    (_monitoring(lane).rules / "mine.yaml").unlink()
    _monitoring(lane).prometheus.process.send(signal.SIGHUP)
    await asyncio.sleep(0)


async def _the_receiver_takes_messages(lane: Lane) -> None:
    _monitoring(lane).sink.refusing.clear()
    await asyncio.sleep(0)


async def _the_collector_is_started(lane: Lane) -> None:
    lane.start_collector()
    await asyncio.sleep(0)


@fault("UnroutedAlert", "outside", severity="ticket", heal=_the_rule_is_deleted, service="monitoring")
async def a_rule_has_a_severity_of_its_own(lane: Lane) -> None:
    """Somebody adds a rule with the severity `warning`, and Prometheus reads it."""
    rules = {"groups": [{"name": "mine", "rules": [_RULE]}]}
    (_monitoring(lane).rules / "mine.yaml").write_text(yaml.safe_dump(rules))
    _monitoring(lane).prometheus.process.send(signal.SIGHUP)
    await asyncio.sleep(0)


@fault("AlertDeliveryFailing", "outside", heal=_the_receiver_takes_messages, service="monitoring", patience_seconds=40)
async def a_receiver_refuses(lane: Lane) -> None:
    """A receiver answers each of Alertmanager's messages with 500."""
    _monitoring(lane).sink.refusing.add(HEARTBEAT)
    await asyncio.sleep(0)


@fault("TelemetryDropping", "releases", severity="ticket", heal=_the_collector_is_started, patience_seconds=40)
async def the_collector_is_killed(lane: Lane) -> None:
    """The collector of spans is killed with SIGKILL."""
    assert lane.collector
    await asyncio.to_thread(lane.collector.kill)
