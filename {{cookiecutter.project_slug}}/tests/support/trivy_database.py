"""A database of vulnerabilities for trivy, with those that a test wants to be known.

The real one is downloaded, and says something else tomorrow. The file is bbolt's: fixed-size pages, of which a leaf
holds sorted keys, each with a value or with another bucket.
"""

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

Bucket: TypeAlias = Mapping[str, "Bucket | str"]

_PAGE = 4096
_LEAF, _META, _FREELIST = 0x02, 0x04, 0x10
_SOURCE = "pip::advisories of a test"
_FORMAT = 2


def write(cache: Path, **vulnerable: tuple[str, str]) -> None:
    """Write into `cache`, trivy's folder, an id and a range such as `< 2.0` for each package of Python."""
    folder = cache / "db"
    folder.mkdir(parents=True)
    source = {"ID": "test", "Name": "advisories of a test", "URL": "https://advisories.example"}
    content: Bucket = {
        "data-source": {_SOURCE: json.dumps(source)},
        _SOURCE: {
            package.replace("_", "-"): {known: json.dumps({"VulnerableVersions": [versions]})}
            for package, (known, versions) in vulnerable.items()
        },
        "vulnerability": {
            known: json.dumps({"Title": f"{package} is vulnerable", "Severity": "HIGH"})
            for package, (known, _) in vulnerable.items()
        },
    }
    (folder / "trivy.db").write_bytes(_File().with_root(content))
    now = datetime.now(UTC)
    times = {"UpdatedAt": now, "DownloadedAt": now, "NextUpdate": now + timedelta(days=1)}
    written = {"Version": _FORMAT, **{name: time.isoformat() for name, time in times.items()}}
    (folder / "metadata.json").write_text(json.dumps(written))


class _File:
    """Two pages that say where the rest is, one of the pages that are free, and then the buckets."""

    def __init__(self) -> None:
        self._buckets: list[bytes] = []

    def with_root(self, content: Bucket) -> bytes:
        root = self._add(content)
        end = 3 + len(self._buckets)
        metas = [_page(number, _META, 0, _meta(root, end, number)) for number in (0, 1)]
        return b"".join([*metas, _page(2, _FREELIST, 0, b""), *self._buckets])

    def _add(self, content: Bucket) -> int:
        """Give a bucket a page of its own, after those of the buckets in it."""
        count, elements = self._leaf(content)
        number = 3 + len(self._buckets)
        self._buckets.append(_page(number, _LEAF, count, elements))
        return number

    def _leaf(self, content: Bucket) -> tuple[int, bytes]:
        heads, data = b"", b""
        for position, (name, value) in enumerate(sorted(content.items())):
            key = name.encode()
            held = value.encode() if isinstance(value, str) else struct.pack("<QQ", self._add(value), 0)
            start = 16 * (len(content) - position) + len(data)
            heads += struct.pack("<IIII", int(not isinstance(value, str)), start, len(key), len(held))
            data += key + held
        return len(content), heads + data


def _page(number: int, kind: int, count: int, content: bytes) -> bytes:
    page = struct.pack("<QHHI", number, kind, count, 0) + content
    assert len(page) <= _PAGE, "a test needs no more"
    return page.ljust(_PAGE, b"\0")


def _meta(root: int, end: int, transaction: int) -> bytes:
    meta = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, _PAGE, 0, root, 0, 2, end, transaction)
    return meta + struct.pack("<Q", _fnv1a(meta))


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
