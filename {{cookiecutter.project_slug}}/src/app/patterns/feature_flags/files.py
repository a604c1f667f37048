"""Rules on disk, as the server sent them: the last ones, for a start without it, and those to begin with.

When a file was last confirmed by the server is its time of modification.
"""

import os
import tempfile
from pathlib import Path
from typing import Literal

import structlog

from .rules import MalformedRules, Rules

_log = structlog.get_logger(__name__)


def read(path: Path, kind: Literal["cache", "bootstrap"]) -> tuple[Rules, float] | None:
    """Return rules and their time, or None; a file that is damaged is told, and ignored."""
    try:
        return Rules(path.read_text(encoding="utf-8")), path.stat().st_mtime
    except (OSError, ValueError, MalformedRules) as exc:
        if kind == "bootstrap" or not isinstance(exc, FileNotFoundError):  # at the first start there is no cache
            _log.warning("feature_flags.file_ignored", kind=kind, reason=type(exc).__name__)
        return None


def keep(path: Path, document: str, *, changed: bool) -> None:
    """Keep rules that the server has just confirmed. Failing to do so is told, and stops nothing but a later start."""
    try:
        if changed or not path.exists():
            _write(path, document)
        else:
            os.utime(path)
    except OSError as exc:  # a full disk, or one that is read-only
        _log.warning("feature_flags.cache_not_written", reason=type(exc).__name__)


def _write(path: Path, document: str) -> None:
    """Whoever reads meanwhile, or starts after a crash, finds the old file or the new one, and never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        half = Path(file.name)
        try:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
            half.replace(path)
        except OSError:
            half.unlink(missing_ok=True)
            raise
