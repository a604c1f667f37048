"""patterns/feature_flags: rules on disk, when the disk does not do as it should."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.patterns.feature_flags.files import keep


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the disk is full, or the process ends half way: never half a file, and nothing beside it."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    cache = tmp_path / "cache.json"
    keep(cache, "{}", changed=True)

    monkeypatch.setattr("os.fsync", full)
    with capture_logs() as logs:
        keep(cache, '{"version": 2, "features": []}', changed=True)

    assert cache.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [cache]
    assert [(line["event"], line["reason"]) for line in logs] == [("feature_flags.cache_not_written", "OSError")]
