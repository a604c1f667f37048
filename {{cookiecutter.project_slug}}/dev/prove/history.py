"""A week ago, as far as Prometheus knows: blocks of samples that nobody can wait for."""

import subprocess
import time
from pathlib import Path

from dev.ops.tools import find
from dev.prove.scaled import SCALE

_WEEK = 7 * 86_400 * SCALE
_BEFORE, _AFTER = 60, 600  # seconds around the same moment of last week, for a run that takes minutes
_PER_SECOND = 40


def write(tsdb: Path, service: str) -> None:
    """Write that many customers came to `service` a week ago, before Prometheus starts on `tsdb`."""
    begin = time.time() - _WEEK - _BEFORE
    labels = f'service="{service}",job="http",instance="old",http_route="/v1/orders"'
    series = f"http_server_request_duration_seconds_count{{{labels}}}"
    lines = [
        *(f"{series} {second * _PER_SECOND} {begin + second:.3f}" for second in range(_BEFORE + _AFTER)),
        "# EOF\n",
    ]
    tsdb.mkdir(parents=True, exist_ok=True)
    text = tsdb.parent / "history.txt"
    text.write_text("\n".join(lines))
    subprocess.run(
        [find("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, tsdb], check=True, capture_output=True
    )
