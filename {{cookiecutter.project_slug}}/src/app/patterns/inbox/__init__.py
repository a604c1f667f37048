"""Inbox: each event takes effect once, although it may be delivered many times.

Use when: you consume from a broker that delivers at least once, and doing it twice would hurt.
Not when: the handler is idempotent by nature - an upsert of the event's own state needs no memory.
Costs:    one insert per event in the handler's transaction; one message in flight per consumer.
Fails:    handler raises -> its transaction rolls back, the message comes again after a growing pause, and those
          behind it wait; killed between commit and acknowledgement -> delivered again, dropped by the primary key;
          broker keeps an event longer than the inbox does -> a consumer that starts over may apply it again.
Copy:     this folder, kit/clock.py, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py, kit/ids.py,
          kit/instruments.py, kit/redaction.py, migration 0002_inbox.
Origin:   "Idempotent Receiver", Hohpe and Woolf, Enterprise Integration Patterns (2003).

    events.py     the CloudEvents envelope, parsed
    consumer.py   fetch, handle in a transaction, acknowledge
    forgetting.py delete what is older than anything the broker could still deliver
"""

from .consumer import Consumer, ConsumerSettings, Handler
from .events import MalformedEvent, ReceivedEvent
from .forgetting import Forgetting, InboxSettings

__all__ = [
    "Consumer",
    "ConsumerSettings",
    "Forgetting",
    "Handler",
    "InboxSettings",
    "MalformedEvent",
    "ReceivedEvent",
]
