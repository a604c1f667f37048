"""Free TCP ports of this machine."""

import fcntl
import os
import random
import socket
from contextlib import suppress
from functools import lru_cache

from dev import cache
from dev.process import StartFailed

_PORTS = range(15_000, 32_000)
"""Below those of outgoing connections: one of them could take a port before its server does, or while it restarts."""
_given: set[int] = set()


def free_port() -> int:
    """Return a port that was free a moment ago, and that no other process is given, nor this one again.

    Its server may listen much later. Of forty that are drawn blindly, two are the same in one run of twenty.

    Raises:
        StartFailed: of a thousand, none is free.
    """
    for port in random.SystemRandom().sample(_PORTS, 1000):
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise StartFailed(f"No port between {_PORTS.start} and {_PORTS.stop} is free.")


@lru_cache
def _locks() -> int:
    """Return a file of which a byte is locked for each port, for as long as the process lives that was given it."""
    return os.open(cache.folder() / "ports.lock", os.O_RDWR | os.O_CREAT, 0o600)
