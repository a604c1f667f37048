"""Read replicas: reads go where they load the primary least, and never see less than their caller may expect.

Use when: reads outnumber writes, and the primary's processor or connections are what runs out.
Not when: a cache with a known lifetime would do, or every read decides about a write: those belong on the primary.
Costs:    two small queries a second and replica, whatever the traffic; one more per write, for its position.
Fails:    towards the primary: a replica that lags, is lost or has not replayed the caller's own write is not asked.
          A lost primary stops writes until a replica is promoted, and no process needs a restart then.
Copy:     this folder, kit/asgi.py, kit/clock.py, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py,
          kit/instruments.py.
Origin:   session guarantees (Terry and others, 1994), "read your writes"; positions are those of PostgreSQL's log.

    routing.py    which server a read goes to, and how far each of them is
    positions.py  places in PostgreSQL's log, and the time at which the primary was there
    sessions.py   a caller's own writes: the header that carries how far a server has to be
"""

from .routing import ReadReplicas, ReplicaSettings
from .sessions import ReadYourWrites

__all__ = ["ReadReplicas", "ReadYourWrites", "ReplicaSettings"]
