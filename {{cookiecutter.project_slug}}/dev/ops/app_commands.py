"""Whether `app ...`, as somebody has written it down, is a command of this service."""

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache

from app import cli

_FILLED_IN = re.compile(r"'(\$\w+|[A-Z_]+)'$")
"""A value that is filled in when it runs, such as an id, is none yet."""
_parser = cache(cli.command_line)


def no_command(words: Sequence[str]) -> str:
    """Return why these words after `app` are no command, or nothing."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            arguments, others = _parser().parse_known_args(words)
    except SystemExit as exc:
        why = said.getvalue().strip().rpartition("error: ")[2]
        return "" if not exc.code or _FILLED_IN.search(why) else why
    return f"unrecognized arguments: {' '.join(others)}" if others and "client" not in arguments else ""
