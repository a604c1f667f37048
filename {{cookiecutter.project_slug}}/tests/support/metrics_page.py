"""docs/metrics.md as data: what the page says about each metric."""

import re
from typing import NamedTuple

from dev.environment import ROOT

PAGE = ROOT / "docs" / "metrics.md"


class Row(NamedTuple):
    """One line of the table."""

    name: str
    kind: str
    unit: str
    labels: str
    """`state` 3, `consumer` 10: each label with the most values it may have."""
    label_sets: str
    owner: str

    @property
    def label_names(self) -> set[str]:
        """The labels alone."""
        return set(re.findall(r"`(\w+)`", self.labels))


def rows() -> dict[str, Row]:
    """Return the table by the metrics' names."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row.name: row for row in (Row(name.strip("`"), *rest) for name, *rest in cells)}


def series_per_process() -> int:
    """Return the most series that a process may expose."""
    return _cap("series_per_process")


def series_of_the_probe() -> int:
    """Return the most series of those metrics that the probe alone has."""
    return _cap("series_of_the_probe")


def _cap(name: str) -> int:
    (number,) = re.findall(rf"^`{name}`: ([\d ]+)$", PAGE.read_text(), re.MULTILINE)
    return int(number.replace(" ", ""))
