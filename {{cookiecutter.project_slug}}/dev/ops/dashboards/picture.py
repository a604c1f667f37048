"""Draw the dashboards of ops/generated/grafana with the data of a running Prometheus, where there is no Grafana.

    python -m dev.ops.dashboards.picture --prometheus http://127.0.0.1:9090 --service orders FOLDER

One SVG for each: to see whether its panels have data, and whether somebody who reads them at night would understand.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from dev.ops.dashboards import scales
from dev.ops.dashboards.answers import Answers, Series
from dev.ops.dashboards.svg import Box, box, line, points, rectangle, svg, text
from dev.ops.generated import FOLDER

Json = dict[str, Any]
_COLUMN, _ROW, _GAP = 60, 32, 4
_COLOURS = {"green": "#56a64b", "orange": "#ff9830", "red": "#e02f44", "none": "#dde4ed"}
_PALETTE = ("#3274d9", "#56a64b", "#ff780a", "#a352cc", "#e02f44", "#1f9a9a", "#8f3bb8", "#b5793a", "#6e7f91")
_INK, _FAINT = "#1f2733", "#8a94a3"
_LEGEND_LINES = 3


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--service", required=True)
    parser.add_argument("--minutes", type=float, default=180)
    parser.add_argument("--rate-interval", default="2m", help="in place of $__rate_interval")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    answers = Answers(arguments.prometheus, arguments.service, arguments.minutes * 60, arguments.rate_interval)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((FOLDER / "grafana").glob("*.json")):
        drawn = arguments.folder / f"{path.stem}.svg"
        drawn.write_text(picture(json.loads(path.read_text()), answers))
        print(drawn)


def picture(dashboard: Json, answers: Answers) -> str:
    """Return a dashboard as SVG."""
    now = time.time()
    last = dashboard["panels"][-1]["gridPos"]
    height = (last["y"] + last["h"] + 1) * _ROW
    parts = [text(12, 21, f"{dashboard['title']} - {dashboard['description']}", size=15, colour=_INK)]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        where = Box(place["x"] * _COLUMN, (place["y"] + 1) * _ROW, place["w"] * _COLUMN, place["h"] * _ROW).inset(_GAP)
        parts += _panel(panel, where, answers, now)
    return svg(24 * _COLUMN, height, parts)


def _panel(panel: Json, where: Box, answers: Answers, now: float) -> Iterator[str]:
    if panel["type"] == "row":
        yield text(where.x + 4, where.y + 17, panel["title"], size=14, colour=_INK, bold=True)
        return
    yield box(where, "#ffffff")
    yield text(where.x + 8, where.y + 17, panel["title"], size=12, colour=_INK, bold=True)
    inside = Box(where.x + 8, where.y + 26, where.width - 16, where.height - 32)
    if panel["type"] == "text":
        for number, said in enumerate(panel["options"]["content"].splitlines()):
            yield text(inside.x, inside.y + 14 + number * 17, said, size=11, colour=_INK)
        return
    found = [*chain.from_iterable(answers.of(target, now) for target in panel["targets"])]
    if not found:
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        yield text(inside.x + 4, inside.y + inside.height / 2, nothing, size=13, colour=_FAINT)
        return
    draw = {"timeseries": _graph, "stat": _stats, "table": _table}[panel["type"]]
    yield from draw(panel, found, inside)


def _graph(panel: Json, found: list[Series], where: Box) -> Iterator[str]:
    unit, custom = panel["fieldConfig"]["defaults"]["unit"], panel["fieldConfig"]["defaults"]["custom"]
    shown = _stacked(found) if custom["stacking"]["mode"] == "normal" else found
    lines = [step for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"] if step["value"] is not None]
    legend = [*_legend(found, where)]
    area = Box(
        where.x + 52, where.y + 4, where.width - 56, where.height - 12 - 15 * (1 + max(row for row, *_ in legend))
    )
    moments = [at for series in shown for at, _ in series.points]
    frame = _Frame(area, (min(moments), max(moments)), _range(panel, shown))
    for tick in scales.ticks(*frame.values, unit):
        yield line(area.x, frame.y(tick), area.right, frame.y(tick), "#e4e8ee")
        yield text(where.x, frame.y(tick) + 4, scales.written(tick, unit), size=10, colour=_FAINT)
    if custom["thresholdsStyle"]["mode"] != "off":
        for step in lines:
            yield line(
                area.x, frame.y(step["value"]), area.right, frame.y(step["value"]), _COLOURS[step["color"]], dashed=True
            )
    for number, series in enumerate(shown):
        yield points([(frame.x(at), frame.y(value)) for at, value in series.points], _PALETTE[number % len(_PALETTE)])
    for row, x, number, name in legend:
        y = where.bottom - 2 - 15 * (max(each for each, *_ in legend) - row)
        yield rectangle(Box(x, y - 7, 10, 4), _PALETTE[number % len(_PALETTE)])
        yield text(x + 14, y, name, size=10, colour=_INK)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a moment and a value are drawn."""

    area: Box
    times: tuple[float, float]
    values: tuple[float, float]

    def x(self, at: float) -> float:
        first, last = self.times
        return self.area.x + self.area.width * (at - first) / ((last - first) or 1)

    def y(self, value: float) -> float:
        least, most = self.values
        return self.area.bottom - self.area.height * (value - least) / ((most - least) or 1)


def _range(panel: Json, shown: list[Series]) -> tuple[float, float]:
    """Return what the vertical axis has to hold, as Grafana finds it."""
    defaults = panel["fieldConfig"]["defaults"]
    values = [value for series in shown for _, value in series.points]
    values += [defaults["custom"][key] for key in ("axisSoftMin", "axisSoftMax") if key in defaults["custom"]]
    least = defaults.get("min", min(values))
    most = max(values) * 1.05
    return least, most if most > least else least + 1


def _stacked(found: list[Series]) -> list[Series]:
    below: dict[float, float] = {}
    stacked = []
    for series in found:
        for at, value in series.points:
            below[at] = below.get(at, 0.0) + value
        stacked.append(Series(series.name, [(at, below[at]) for at, _ in series.points]))
    return stacked


def _legend(found: list[Series], where: Box) -> Iterator[tuple[int, float, int, str]]:
    row, x = 0, where.x
    for number, series in enumerate(found):
        name = series.name[:46]
        width = 24 + len(name) * 6.6
        if x + width > where.right and x > where.x:
            row, x = row + 1, where.x
        if row == _LEGEND_LINES:
            return
        yield row, x, number, name
        x += width


def _stats(panel: Json, found: list[Series], where: Box) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    width = where.width / len(found)
    for number, series in enumerate(found):
        value = series.points[-1][1]
        mapped = defaults.get("mappings", [{}])[0].get("options", {}).get(f"{value:g}")
        colour = mapped["color"] if mapped else scales.colour(value, defaults["thresholds"]["steps"])
        colour = colour if panel["options"]["colorMode"] == "background" else "none"
        place = Box(where.x + number * width, where.y, width, where.height).inset(2)
        yield box(place, _COLOURS[colour])
        ink = _INK if colour == "none" else "#ffffff"
        said = mapped["text"] if mapped else scales.written(value, defaults["unit"])
        yield text(place.x + 6, place.y + place.height / 2 - 2, series.name[: int(width / 6.3)], size=11, colour=ink)
        yield text(place.x + 6, place.y + place.height / 2 + 20, said, size=18, colour=ink, bold=True)


def _table(panel: Json, found: list[Series], where: Box) -> Iterator[str]:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    room = int(where.height / 18)
    for number, series in enumerate(sorted(found, key=lambda each: -each.points[-1][1])[:room]):
        y = where.y + 14 + number * 18
        yield text(where.x, y, series.labels, size=11, colour=_INK)
        yield text(where.right - 80, y, scales.written(series.points[-1][1], unit), size=11, colour=_INK)


if __name__ == "__main__":
    main()
