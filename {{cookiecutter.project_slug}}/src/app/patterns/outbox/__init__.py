"""Transactional outbox: publish events exactly when the transaction commits.

Use when: a state change must be announced and the broker may be down.
Not when: losing an event is fine - log it instead.
Costs:    one insert per event, a relay process, at-least-once delivery (consumers need `inbox`).
Fails:    broker down -> rows wait and their age grows; relay killed -> its events are published again, the broker drops
          what it has seen within its duplicate window, the inbox drops the rest; event refused again and again -> it
          is parked for a person, and those behind it flow on (docs/outbox.md).
Copy:     this folder, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py, kit/ids.py, kit/instruments.py,
          kit/redaction.py, migration 0001_outbox.
Origin:   Chris Richardson, Microservices Patterns (2018), chapter 3.

Order is kept per aggregate: its events leave in the order in which they were committed, with any number of relays.
    writer.py     publish(): the insert in the business transaction
    positions.py  where in each lane a relay has to start reading
    relay.py      claim lanes, publish, delete
    parked.py     events that the broker would not take: park, list, replay, drop
    backlog.py    how much waits, as gauges
    spans.py      the relay's part of a trace
    broker.py     the port to the broker
    jetstream.py  NATS JetStream behind it
    brokers.py    which broker a URL means
    wakeup.py     NOTIFY after commit, so that relays need not poll fast
"""

from .backlog import Backlog
from .broker import (
    Acknowledged,
    Broker,
    BrokerFull,
    BrokerSettings,
    BrokerUnavailable,
    Full,
    Message,
    Outcome,
    Refused,
)
from .brokers import broker_for
from .jetstream import NatsBroker
from .relay import Relay, RelaySettings
from .wakeup import Notifier, listen
from .writer import Event, publish

__all__ = [
    "Acknowledged",
    "Backlog",
    "Broker",
    "BrokerFull",
    "BrokerSettings",
    "BrokerUnavailable",
    "Event",
    "Full",
    "Message",
    "NatsBroker",
    "Notifier",
    "Outcome",
    "Refused",
    "Relay",
    "RelaySettings",
    "broker_for",
    "listen",
    "publish",
]
