"""Durations as Prometheus writes them."""

import re
from typing import Annotated

from pydantic import AfterValidator

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(written: str) -> int:
    """Return how long `written` is, such as `5m`."""
    return int(written[:-1]) * _SECONDS[written[-1]]


def written(duration: float) -> str:
    """Return a number of seconds in the largest unit that leaves no fraction; a part of a second in milliseconds."""
    if duration != int(duration):
        return f"{round(duration * 1000)}ms"
    unit = next(unit for unit in ("d", "h", "m", "s") if duration % _SECONDS[unit] == 0)
    return f"{int(duration) // _SECONDS[unit]}{unit}"


def _checked(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*[smhd]", value, re.ASCII):
        raise ValueError("a duration is a number and one of s, m, h and d, such as 5m")
    return value


Duration = Annotated[str, AfterValidator(_checked)]
