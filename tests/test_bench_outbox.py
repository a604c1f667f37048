"""The bench of the outbox, small: what it counts must be right, and what it writes has the shape it always has."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from baking import ROOT, TEMPLATE

pytestmark = pytest.mark.xdist_group("service")

_PARTS = {"throughput", "order", "latency", "backlog", "writes", "fsync"}


def test_the_outbox_bench_counts_no_inversion_and_its_controls_break(equipped: Path) -> None:
    """Three relays keep the order, the known mistakes do not, and each part leaves its figures."""
    result = subprocess.run(
        [equipped / ".venv/bin/python", ROOT / "benchmarks/bench_outbox.py", TEMPLATE, "--quick", "--result", "quick"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads((ROOT / "benchmarks/results/quick.json").read_text())
    assert document.keys() == _PARTS | {"python", "quick", "proofs", "seconds"}
    counted = [proof for proof in document["proofs"] if proof["counts"]]
    assert len(counted) == 3
    assert all(proof["holds"] for proof in counted)
    assert document["order"]["variants"]["lanes"] == {"inversions": 0, "in_stream": 4000, "left_behind": 0}
