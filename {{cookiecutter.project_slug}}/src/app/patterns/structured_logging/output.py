"""Where lines go: a file descriptor without Python's buffer, so that a line is one system call, and out at once."""

import select
import sys
from typing import BinaryIO


def standard_output() -> BinaryIO:
    """Return standard output, unbuffered."""
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


def write_rest(stream: BinaryIO, data: bytes, written: int | None) -> None:
    """Write what is left of `data`: a pipe may take a part of a long line, and a full one that does not block, none."""
    rest = memoryview(data)
    while True:
        if written is None:
            select.select([], [stream], [])
        rest = rest[written or 0 :]
        if not rest:
            return
        written = stream.write(rest)
