"""The manifest: written last, it says what an archive is. Without one there is no archive.

orders/2026-01/00001-6f1c....parquet   rows, in the order of their key
orders/2026-01/00002-0b9e....parquet   the rows after these
orders/2026-01/manifest.json           which objects, how many rows, which columns, and their checksums
"""

import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson

from .errors import ArchiveDamaged
from .rows import Column

FORMAT = 1
_FILE = "manifest.json"
_NAME = re.compile(r"\w[\w.=-]*(/\w[\w.=-]*)*", re.ASCII)
_OBJECT = re.compile(r"\d{5,}-[0-9a-f]{16}\.parquet")


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """One Parquet file of an archive."""

    name: str
    """Without the archive's own name, so that an archive may be copied elsewhere."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds."""

    relation: str
    where: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int
    checksum: str
    """The sum of the rows' digests, see `rows.py`."""
    lowest: list[str | None] | None
    highest: list[str | None] | None
    read_at: str
    """When the rows were so, by the database's clock."""
    objects: tuple[ArchivedObject, ...]

    @property
    def key_positions(self) -> list[int]:
        """Return where among the columns those of the key are."""
        names = [column.name for column in self.columns]
        return [names.index(name) for name in self.key]


def place(name: str) -> str:
    """Return where the manifest of an archive is.

    Raises:
        ValueError: an archive cannot be called that.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"an archive's name is letters, digits, `_`, `-`, `=` and `.`, in parts with `/`, not {name!r}"
        )
    return f"{name}/{_FILE}"


def name_at(found: str) -> str | None:
    """Return which archive's manifest an object is; None if it is none."""
    name, slash, file = found.rpartition("/")
    return name if slash and file == _FILE and _NAME.fullmatch(name) else None


def render(manifest: Manifest) -> bytes:
    """Return the object that is written."""
    columns = [{"name": it.name, "type": it.type, "stored": it.stored} for it in manifest.columns]
    said = {"format": FORMAT, **asdict(manifest), "columns": columns}
    return orjson.dumps({"manifest": said, "sha256": _checksum(said)}, option=orjson.OPT_INDENT_2) + b"\n"


def parse(body: bytes, where: str) -> Manifest:
    """Return what an object at `where` says.

    Raises:
        ArchiveDamaged: it is no manifest, or not as it was written.
    """
    try:
        manifest = _read(orjson.loads(body)["manifest"])
        unchanged = render(manifest) == body
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise ArchiveDamaged(where, f"is altered: it cannot be read ({type(exc).__name__})") from exc
    if not unchanged:
        raise ArchiveDamaged(where, "is altered: its SHA-256 is another")
    return manifest


def _read(said: dict[str, Any]) -> Manifest:
    if said.pop("format") != FORMAT:
        raise ValueError("another format")
    objects = tuple(ArchivedObject(**it) for it in said.pop("objects"))
    columns = tuple(Column(it["name"], it["type"]) for it in said.pop("columns"))
    if not all(_OBJECT.fullmatch(it.name) for it in objects):
        raise ValueError("an object's name leads elsewhere")
    key = tuple(said.pop("key"))
    if not {column.name for column in columns}.issuperset(key):
        raise ValueError("a part of the key is no column")
    return Manifest(objects=objects, columns=columns, key=key, **said)


def _checksum(said: dict[str, Any]) -> str:
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
