"""A row in three forms: as PostgreSQL gives it, as Parquet holds it, and as text, of which both sides make a digest.

Integers, booleans, texts and bytes are themselves in Parquet. Every other type is held as the text that PostgreSQL
writes for it, for nothing else is exact: infinite times, NaN, numbers of any length, and types of one's own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

Value: TypeAlias = int | bool | str | bytes | None
Row: TypeAlias = tuple[Value, ...]
_STORED = {"smallint": "int16", "integer": "int32", "bigint": "int64", "boolean": "bool", "bytea": "binary"}
_VARCHAR = re.compile(r"character varying(\(\d+\))?")
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Column:
    """A column, with its type as PostgreSQL writes it."""

    name: str
    type: str

    @property
    def stored(self) -> str:
        """Return its type in Parquet, by Arrow's name."""
        return _STORED.get(self.type, "string")

    @property
    def selected(self) -> str:
        """Return the expression that gives its values as Parquet holds them."""
        as_it_is = self.type in _STORED or self.type == "text" or _VARCHAR.fullmatch(self.type)
        return quoted(self.name) if as_it_is else f"CAST({quoted(self.name)} AS text)"


@dataclass(slots=True)
class Tally:
    """What is counted of rows that pass by: how many, their checksum, and the keys of the first and the last one.

    The checksum is the sum of the rows' digests, so that their order does not matter and none can come twice unnoticed.
    """

    key: Sequence[int] = ()
    """The positions of the key's columns."""
    rows: int = 0
    total: int = 0
    lowest: list[str | None] | None = None
    highest: list[str | None] | None = None

    @property
    def checksum(self) -> str:
        """Return the checksum in hexadecimal."""
        return f"{self.total:064x}"

    def add(self, rows: Sequence[Row]) -> None:
        """Count rows that were read in the order of their key."""
        for row in rows:
            self.add_digest(digest(row))
        if rows:
            self.lowest = self.lowest or self._key_of(rows[0])
            self.highest = self._key_of(rows[-1])

    def add_digest(self, of_row: bytes) -> None:
        """Count a row of which there is only the digest."""
        self.rows += 1
        self.total = (self.total + int.from_bytes(of_row)) % _MODULUS

    def _key_of(self, row: Row) -> list[str | None]:
        return [text_of(row[position]) for position in self.key]


def quoted(name: str) -> str:
    """Return the name as an identifier in a statement of SQLAlchemy's `text()`."""
    return escaped('"' + name.replace('"', '""') + '"')


def escaped(sql: str) -> str:
    """Return SQL of the catalogue's for SQLAlchemy's `text()`, to which `:x` is a parameter."""
    return sql.replace(":", "\\:")


def digest_expression(columns: Iterable[Column]) -> str:
    """Return what computes in PostgreSQL what `digest` does."""
    texts = (f"CAST({quoted(column.name)} AS text)" for column in columns)
    parts = (f"coalesce(octet_length({text}) || '\\:' || {text}, '-')" for text in texts)
    return f"sha256(convert_to({' || '.join(parts)}, 'UTF8'))"


def digest(row: Row) -> bytes:
    """Return the SHA-256 of the texts of a row's values, each with its length before it, or `-` for NULL."""
    whole = sha256()
    for value in row:
        text = text_of(value)
        body = b"" if text is None else text.encode()
        whole.update(b"-" if text is None else b"%d:%b" % (len(body), body))
    return whole.digest()


def text_of(value: Value) -> str | None:
    """Return a value as PostgreSQL writes it, under the settings of `snapshot.py`."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"\\x{value.hex()}"
    return str(value)


def difference(archived: Sequence[Column], found: Sequence[Column]) -> str | None:
    """Return in which columns a table is not like an archive; their order does not matter."""
    there, here = ({column.name: column.type for column in columns} for columns in (archived, found))
    lacking = [f"lacks {name}" for name in there if name not in here]
    more = [f"has {name}, which the archive has not" for name in here if name not in there]
    other = [
        f"has {name} as {here[name]}, the archive as {there[name]}"
        for name in there
        if here.get(name, there[name]) != there[name]
    ]
    return ", ".join([*lacking, *more, *other]) or None
