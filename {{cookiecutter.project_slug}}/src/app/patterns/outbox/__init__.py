"""Transactional outbox: publish events exactly when the transaction commits.

Use when: a state change must be announced and the broker may be down.
Not when: losing an event is fine - log it instead.
Costs:    one insert per event, a relay process, at-least-once delivery (consumers need `inbox`).
Fails:    broker down -> rows wait and their age grows; relay killed -> its events are published again, the broker drops
          what it has seen within its duplicate window, the inbox drops the rest.
Copy:     this folder, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py, kit/ids.py, kit/instruments.py,
          kit/redaction.py, migration 0001_outbox.
Origin:   Chris Richardson, Microservices Patterns (2018), chapter 3.

Order is kept per aggregate: its events leave in the order in which they were committed, with any number of relays.
    writer.py     publish(): the insert in the business transaction
    positions.py  where in each lane a relay has to start reading
    relay.py      claim lanes, publish, delete
    spans.py      the relay's part of a trace
    broker.py     the port to the broker, and NATS JetStream behind it
    wakeup.py     NOTIFY after commit, so that relays need not poll fast
"""

from .broker import Acknowledged, Broker, BrokerSettings, BrokerUnavailable, Message, NatsBroker, Refused
from .relay import Relay, RelaySettings
from .wakeup import Notifier, listen
from .writer import Event, publish

__all__ = [
    "Acknowledged",
    "Broker",
    "BrokerSettings",
    "BrokerUnavailable",
    "Event",
    "Message",
    "NatsBroker",
    "Notifier",
    "Refused",
    "Relay",
    "RelaySettings",
    "listen",
    "publish",
]
