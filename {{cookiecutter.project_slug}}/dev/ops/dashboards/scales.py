"""Numbers as people read them, and where on a scale they are."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

_BYTES = ("B", "kB", "MB", "GB", "TB")
_RATES = {"reqps": " req/s", "ops": " ops/s", "short": "", "bool_yes_no": ""}
_STEPS = (1, 2, 5, 10)
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_DURATIONS = (120, 300, 600, 1_800, _HOUR, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY)


def written(value: float, unit: str) -> str:
    """Return a number with its unit."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return _duration(value)
    if unit in ("bytes", "Bps"):
        power = min(len(_BYTES) - 1, int(log10(abs(value)) // 3)) if abs(value) >= 1 else 0
        return f"{value / 1000**power:.3g} {_BYTES[power]}{'/s' if unit == 'Bps' else ''}"
    return f"{value:.3g}{_RATES[unit]}" if abs(value) < 1_000 else f"{value:.0f}{_RATES[unit]}"


def _duration(value: float) -> str:
    size = abs(value)
    if size >= 2 * _DAY:
        return f"{value / _DAY:.3g} d"
    if size >= 2 * _HOUR:
        return f"{value / _HOUR:.3g} h"
    if size >= 2 * _MINUTE:
        return f"{value / _MINUTE:.3g} min"
    return f"{value:.3g} s" if size >= 1 or size == 0 else f"{value * 1000:.3g} ms"


def ticks(least: float, most: float, unit: str) -> list[float]:
    """Return about four round numbers between both."""
    rough = (most - least) / 4
    power = 10.0 ** floor(log10(rough))
    steps = [step * power for step in _STEPS]
    if unit == "s" and rough > _MINUTE:
        steps = [*_DURATIONS, *steps]
    step = next(step for step in steps if step >= rough)
    first = int(least // step) + (least % step > 0)
    return [number * step for number in range(first, int(most // step) + 1)]


def colour(value: float, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the colour of the last step that a value has reached."""
    return str([step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1])
