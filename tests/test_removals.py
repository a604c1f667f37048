"""Nothing that observes can be taken away unnoticed: each part is removed once, and a test of the service is red."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT, TEMPLATE, Bakery

REMOVALS: list[dict[str, Any]] = tomllib.loads((ROOT / "tests" / "removals.toml").read_text())["removal"]
KEPT = shutil.ignore_patterns(".*", "__pycache__")


@pytest.mark.parametrize("removal", REMOVALS, ids=[removal["what"] for removal in REMOVALS])
def test_a_removal_is_noticed(equipped: Path, bakery: Bakery, removal: dict[str, Any]) -> None:
    """The named test of the service fails in a copy without it, by an assertion and not by a copy that is broken."""
    folder = bakery.new_folder()
    service = folder / "service"
    shutil.copytree(TEMPLATE, service, ignore=KEPT)
    source = service / removal["file"]
    text = source.read_text()
    assert text.count(removal["text"]) == 1, "the line to remove has changed"
    source.write_text(text.replace(removal["text"], removal.get("instead", "")))

    # Its own place for temporary files: pytest makes the shared one private again, under the eyes of other PostgreSQLs.
    options = ["-q", "-x", "-p", "no:cacheprovider", "--basetemp", str(folder / "tmp")]
    result = subprocess.run(
        [equipped / ".venv" / "bin" / "python", "-m", "pytest", *options, *removal["tests"]],
        cwd=service,
        env={**os.environ, "PYTHONPATH": "src:."},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(r"^(FAILED|ERROR) ", result.stdout, re.MULTILINE), result.stdout
    assert "SyntaxError" not in result.stdout
    assert "ImportError" not in result.stdout


def test_each_layer_of_telemetry_is_removed_once() -> None:
    """The table below names every layer of main.py that observes, and what is wired at the process's start."""
    removed = " ".join(removal["text"] for removal in REMOVALS)
    layers = ("HealthProbes", "MetricsEndpoint", "RequestId", "RequestSpans", "RedMetrics", "AccessLog", "Problems")

    assert [
        layer for layer in layers if f"Middleware({layer}" not in removed and f"problems.{layer}" not in removed
    ] == []
