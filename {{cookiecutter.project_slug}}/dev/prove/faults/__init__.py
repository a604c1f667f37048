"""All faults: importing this registers them, in the order in which each lane goes through its own."""

from dev.prove.faults import audit, database, events, flags, monitors, outside, releases, servers

__all__ = ["audit", "database", "events", "flags", "monitors", "outside", "releases", "servers"]
