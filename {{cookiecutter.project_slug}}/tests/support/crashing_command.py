"""`app` with a sudden end: `crashing_command MARKER NTH COMMAND...`.

It kills itself before the NTH statement that contains MARKER reaches PostgreSQL, with a SIGKILL, so that no cleanup
runs. Nothing in the service knows of this.
"""

import os
import signal
import sys

from sqlalchemy import Engine, event

from app import cli


def main() -> None:
    """Arm the process, and run the command."""
    marker, nth, *command = sys.argv[1:]
    left = int(nth)

    def on_execute(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal left
        left -= marker in statement
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", on_execute)
    sys.argv = ["app", *command]
    cli.main()


if __name__ == "__main__":
    main()
