"""Opens an issue for what a scheduled job has found, in the system that runs the job."""

import importlib
import os
import pkgutil
from typing import Any

import httpx

from dev.delivery import ci


class NotOpened(Exception):
    """There is no issue; the message says why."""


def open_once(title: str, text: str) -> str:
    """Open an issue, unless one with this title is open, and return a sentence that says what was done.

    Raises:
        NotOpened: no system has given its token, or it refused.
    """
    known = systems()
    given = [system for system in known if os.environ.get(system.TOKEN)]
    if not given:
        raise NotOpened(f"no issue was opened: {' or '.join(system.TOKEN for system in known)} is not set")
    try:
        opened = given[0].open_issue(title, text)
    except (httpx.HTTPError, KeyError) as exc:
        raise NotOpened(f"no issue was opened: {exc}") from exc
    return f"opened {opened}" if opened else "an issue with this title is open already"


def systems() -> list[Any]:
    """Return the modules of the systems that this repository has pipelines for."""
    return [importlib.import_module(f"{ci.__name__}.{each.name}") for each in pkgutil.iter_modules(ci.__path__)]
