"""Object storage in which every object is written once, for patterns that keep what must not change.

port.py    what a storage does
folder.py  files of a folder, for development
s3.py      S3 with Object Lock; needs the extra `s3`
"""

from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.kit.clock import Clock

from .folder import FolderStore
from .port import StorageUnavailable, Store

__all__ = ["FolderStore", "StorageUnavailable", "Store", "open_store"]


def open_store(url: str, clock: Clock, *, retention_days: int, s3_endpoint_url: str | None = None) -> Store:
    """Return the storage at `url`: `s3://bucket/prefix`, or `file:///folder`, which locks nothing."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    from .s3 import S3Store  # noqa: PLC0415 - boto3 is an extra, for those who use it

    return S3Store(parts.netloc, parts.path.strip("/"), clock, timedelta(days=retention_days), s3_endpoint_url)
