"""Programs of others, run to their end."""

import asyncio
from pathlib import Path

_SECONDS = 300


async def run(program: Path, *arguments: str) -> tuple[int, str]:
    """Return a program's exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), timeout=_SECONDS)
    assert process.returncode is not None
    return process.returncode, out.decode()
