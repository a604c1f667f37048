"""Series that Prometheus is given as if it had recorded them, in a block of its storage."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dev.ops.tools import find


def given(folder: Path, series: Iterable[tuple[str, Mapping[str, str], Sequence[tuple[float, float]]]]) -> None:
    """Write a block from names, labels, and values with their moments."""
    by_name: dict[str, list[str]] = {}
    for name, labels, points in series:
        selector = ",".join(f'{label}="{value}"' for label, value in labels.items())
        by_name.setdefault(name, []).extend(f"{name}{{{selector}}} {value} {at:.3f}" for at, value in points)
    text = "".join("\n".join([f"# TYPE {name} unknown", *lines, ""]) for name, lines in by_name.items())
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "series.om"
    source.write_text(f"{text}# EOF\n")
    command = [str(find("promtool")), "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "tsdb")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
