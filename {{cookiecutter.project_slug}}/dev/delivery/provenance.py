"""Writes where an image comes from, for `make sign`: SLSA's provenance, of what the pipeline says of itself.

    python -m dev.delivery.provenance .cache/provenance.json

It is worth as much as its signature: only the pipeline has the identity that `make verify` asks for.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dev.delivery.issues import systems
from dev.environment import ROOT, repository_url


def predicate() -> dict[str, Any]:
    """Return it: from which commit, and by which run."""
    runs = [run for system in systems() if (run := system.this_run())]
    builder, run = runs[0] if runs else (f"{repository_url()}#by-hand", "by hand")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    commit = head.stdout.strip() or "unknown"
    source = {"uri": f"git+{repository_url()}@{commit}", "digest": {"gitCommit": commit}}
    return {
        "buildDefinition": {
            "buildType": f"{repository_url()}#make-image",
            "externalParameters": {"source": source["uri"]},
            "resolvedDependencies": [source],
        },
        "runDetails": {"builder": {"id": builder}, "metadata": {"invocationId": run}},
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(predicate(), indent=2))
