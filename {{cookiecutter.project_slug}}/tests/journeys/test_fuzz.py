"""The API against its own description: hundreds of requests made from /openapi.json, over a socket."""

import asyncio
import os
import sys
from pathlib import Path

from dev.environment import ROOT
from tests.support.running_service import RunningService

SEED = "20260101"
EXAMPLES = "30"  # per operation and phase; more of them for an hour's run
# A request may be right and still be refused: the provider says no, or the order's state does.
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 402, 404, 409]
"""


async def test_service_keeps_what_its_description_promises(api: RunningService, tmp_path: Path) -> None:
    """No answer is a server error, undocumented, or of another shape; what the description forbids is refused."""
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    fuzzer = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{api.url}/openapi.json",
        f"--header=Authorization: Bearer {api.token()}",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        f"--seed={SEED}",
        "--generation-database=none",
        "--continue-on-failure",
        "--no-color",
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.fuzzing_hooks", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await fuzzer.communicate()

    assert fuzzer.returncode == 0, output.decode()
    assert [line for line in api.serve.logs if line["level"] in {"error", "critical"}] == []
