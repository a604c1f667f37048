"""Partitions by month: of large tables, made ahead, so that whole months can be archived and dropped later.

Use when: rows of a table lose their use after a time, and are too many to be deleted one by one.
Not when: a table stays small, or its rows are looked up by something else than the key that says when they were made.
Costs:    the primary key contains that key, and a query that does not name it looks into every month.
Fails:    no month was made for a row -> it lands in the default partition, which the gauges tell, and moves to its
          month when that is made; a table is busy -> gives up the lock quickly, and tries again.
Copy:     this folder, kit/clock.py, kit/errors.py, kit/histogram.py, kit/instruments.py.
Origin:   the default partition and attaching, PostgreSQL's manual, 5.12; time-ordered keys, RFC 9562, 5.7.
"""

from .ahead import make_ahead
from .catalogue import Partition, PartitionedTable, partitions, tables
from .leaving import attach, detach, detached, open_to_owner
from .months import Month, NotByMonth
from .patience import PartitionBusy, PartitionSettings, patiently
from .watch import Watch

__all__ = [
    "Month",
    "NotByMonth",
    "Partition",
    "PartitionBusy",
    "PartitionSettings",
    "PartitionedTable",
    "Watch",
    "attach",
    "detach",
    "detached",
    "make_ahead",
    "open_to_owner",
    "partitions",
    "patiently",
    "tables",
]
