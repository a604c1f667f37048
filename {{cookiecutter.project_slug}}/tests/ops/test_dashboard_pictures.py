"""Pictures of dashboards: numbers as people read them, and nothing that is not there."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from dev.ops.dashboards import scales
from dev.ops.dashboards.answers import Answers, Series
from dev.ops.dashboards.picture import picture
from dev.ops.generated import FOLDER

NUMBERS = {
    "a share": (0.999, "percentunit", "99.9 %"),
    "milliseconds": (0.25, "s", "250 ms"),
    "seconds": (30.5, "s", "30.5 s"),
    "minutes": (600, "s", "10 min"),
    "hours": (7_200, "s", "2 h"),
    "days": (172_800, "s", "2 d"),
    "nothing": (0, "s", "0 s"),
    "bytes": (536_870_912, "bytes", "537 MB"),
    "bytes per second": (77.2, "Bps", "77.2 B/s"),
    "requests": (8.5, "reqps", "8.5 req/s"),
    "a bare number": (14.4, "short", "14.4"),
    "a large one": (12_345.6, "short", "12346"),
}
SCALES = {
    "round numbers": (0, 15.1, "short", [0, 5, 10, 15]),
    "below nothing": (-1, 3.15, "short", [0, 2]),
    "times of a clock": (0, 630, "s", [0, 300, 600]),
    "days": (0, 181_440, "s", [0, 86_400, 172_800]),
}
STEPS: list[dict[str, Any]] = [
    {"value": None, "color": "red"},
    {"value": 0, "color": "orange"},
    {"value": 0.25, "color": "green"},
]


@dataclass(frozen=True, slots=True)
class Given(Answers):
    """Answers that a test has written, by the legend of the query."""

    prometheus: str = ""
    service: str = ""
    seconds: float = 60
    rate_interval: str = "1m"
    series: dict[str, list[Series]] = field(default_factory=dict)

    def of(self, target: dict[str, Any], now: float) -> Iterator[Series]:  # noqa: ARG002 - of the real one
        yield from self.series.get(target["legendFormat"], [])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_with_its_unit(number: str) -> None:
    """As short as it can be read."""
    value, unit, said = NUMBERS[number]

    assert scales.written(value, unit) == said


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_has_round_numbers(scale: str) -> None:
    """Few, and all of them in the picture."""
    least, most, unit, expected = SCALES[scale]

    assert scales.ticks(least, most, unit) == expected


@pytest.mark.parametrize(("value", "colour"), [(-0.1, "red"), (0, "orange"), (0.2, "orange"), (1, "green")])
def test_a_value_has_the_colour_of_its_step(value: float, colour: str) -> None:
    """The last one that it has reached."""
    assert scales.colour(value, STEPS) == colour


def test_without_answers_every_panel_says_so() -> None:
    """With its reason where it has one, and as a fault where it has none."""
    shown = picture(dashboard("dependencies"), Given())

    assert shown.count(">No data<") == 8
    assert shown.count(">no call has failed<") == 1
    assert "<polyline" not in shown


def test_a_line_is_drawn_where_its_values_are() -> None:
    """From left to right in time, up with the value, and no further than the line of the alert if it is below."""
    lag = Series("1", [(0, 0.0), (30, 15.0), (60, 30.0)])

    shown = picture(dashboard("database"), Given(series={"{{replica}}": [lag]}))

    (drawn,) = re.findall(r'<polyline points="([^"]+)"', shown)
    places = [tuple(map(float, place.split(","))) for place in drawn.split()]
    (threshold,) = re.findall(r'y1="([\d.]+)"[^>]*stroke="#ff9830" stroke-dasharray', shown)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    assert places[-1][1] == float(threshold)


def test_what_is_stacked_adds_up() -> None:
    """The upper line is the sum."""
    series = {"{{db_operation_name}}": [Series("a", [(0, 1.0), (1, 1.0)]), Series("b", [(0, 1.0), (1, 3.0)])]}

    lower, upper = re.findall(r'<polyline points="([^"]+)"', picture(dashboard("database"), Given(series=series)))

    ends = [float(points.split()[-1].split(",")[1]) for points in (lower, upper)]
    (bottom,) = {
        float(y) for y in re.findall(r'y1="([\d.]+)"', picture(dashboard("database"), Given(series=series)))[:1]
    }
    assert (bottom - ends[1]) == pytest.approx(4 * (bottom - ends[0]), rel=0.01)


def dashboard(uid: str) -> dict[str, Any]:
    """Return a dashboard as Grafana gets it."""
    read: dict[str, Any] = json.loads((FOLDER / "grafana" / f"{uid}.json").read_text())
    return read
