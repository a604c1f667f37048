"""Programs that check what is delivered: `make delivery-tools` installs them in an environment of their own.

Beside the service's, since what they need contradicts what it needs; from the same lock file, so with hashes.
"""

import subprocess
import sys
from pathlib import Path

from dev.environment import ROOT

BIN = Path(sys.prefix) / "delivery" / "bin"
"""The group `delivery` of pyproject.toml, beside the interpreter that runs this."""


class ToolMissing(Exception):
    """A program is not here; the message says how to get it."""


def find(program: str) -> Path:
    """Return where a program is.

    Raises:
        ToolMissing: it was not installed.
    """
    path = BIN / program
    if not path.exists():
        raise ToolMissing(f"{program} is not installed: make delivery-tools")
    return path


def run(program: str, *words: str, cwd: Path = ROOT, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Return what a program said, whatever it ends with.

    Raises:
        ToolMissing: it was not installed.
    """
    command = [str(find(program)), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=seconds)
