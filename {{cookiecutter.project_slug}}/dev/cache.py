"""What this machine keeps from one run to the next, for all services on it: programs, and who was given which port."""

import os
from pathlib import Path


def folder(*names: str) -> Path:
    """Return the folder of all that is kept, or one in it, and make it."""
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "service-ops", *names)
    path.mkdir(parents=True, exist_ok=True)
    return path
