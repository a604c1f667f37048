"""A crash of the interpreter: noted in a file by `faulthandler` as it happens, and logged by the next start.

At that moment nothing else works any more: no Python code runs, so nobody can write a line. The file is all that is
left, and it needs a place that outlives the process: inside a container, a volume such as Kubernetes' emptyDir.
"""

import atexit
import faulthandler
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from app.kit import context

from .exceptions import MAX_FRAMES
from .lines import installed
from .settings import LoggingSettings
from .values import text

if sys.platform != "win32":
    import fcntl

_MODULE = "python"
_MAX_NOTE = 65_536
_REASON = re.compile(r"Fatal Python error: (.+)")
_CRASHED_THREAD = re.compile(r"Current thread .+:\n((?:  .+\n?)*)")
_FRAME = re.compile(r'  File "(.+)", line (\d+) in (.+)')


def watch_interpreter(settings: LoggingSettings, *, service: str) -> None:
    """Log the crashes that earlier processes of `service` have left a note of, and let this one leave one, too."""
    if sys.platform == "win32":
        return  # no lock there that ends with its process, however it ends
    try:
        folder = settings.crash_folder or Path(tempfile.gettempdir())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"{service}.*.crash")):
            with suppress(OSError, ValueError):  # its process ends at this moment, or it is none of ours
                _clear_up(path)
        _open_note(folder, f"{service}.{os.getpid()}.")
    except OSError as exc:  # a service without this is better than no service
        installed().log("warning", _MODULE, "process.unwatched", {"reason": str(exc)})


def _clear_up(path: Path) -> None:
    """Log and remove the note of a process that is gone; the lock on its file ended with it."""
    # Anybody may put things into the folder for temporary files: no link is followed, and no pipe is waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), errors="replace") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
            return
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when its process lives
        note = file.read(_MAX_NOTE)
        if note:
            lines = installed()
            line = lines.head("critical", _MODULE, "process.crashed", context.Context())
            crashed_at = datetime.fromtimestamp(found.st_mtime, UTC).isoformat(timespec="milliseconds")
            pid = int(path.name.split(".")[1])
            lines.write(line | {"crashed_at": crashed_at, "crashed_pid": pid, "exception": _described(note)})
        path.unlink()


def _open_note(folder: Path, prefix: str) -> None:
    # A name that is unique also among containers that share the folder, where every process has the same id; and one
    # that nobody looks for before the file is locked.
    number, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".new")
    file = os.fdopen(number, "w")
    fcntl.flock(file, fcntl.LOCK_EX)  # for as long as the process lives, however it ends
    path = Path(name).rename(Path(name).with_suffix(".crash"))
    faulthandler.enable(file)
    atexit.register(_close_note, file, path)


def _close_note(file: IO[str], path: Path) -> None:
    faulthandler.disable()
    with suppress(OSError):
        path.unlink()
    file.close()


def _described(note: str) -> dict[str, Any]:
    """Return a note as the schema has exceptions: of the thread that crashed, the innermost frame last."""
    reason = found[1] if (found := _REASON.search(note)) else "unknown"
    thread = found[1] if (found := _CRASHED_THREAD.search(note)) else ""
    frames = [
        {"module": text(path, 200), "line": int(line), "function": text(function, 200)}
        for path, line, function in _FRAME.findall(thread)[:MAX_FRAMES]
    ]
    return {"type": text(reason, 200), "message": "The interpreter crashed.", "frames": frames[::-1]}
