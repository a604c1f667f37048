"""What callers and libraries hand in, as the schema allows it: plain, small, and without secrets."""

import re
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import islice
from pathlib import PurePath
from typing import TypeGuard
from uuid import UUID

from pydantic import Secret, SecretBytes, SecretStr

from app.kit.marks import safe_repr
from app.kit.redaction import names_a_secret, redact

SECRET = "[secret]"  # noqa: S105 - the marker, not a secret
_MAX_TEXT = 4_000
_MAX_ITEMS = 50
_MAX_DEPTH = 2  # of mappings and lists inside each other
_MAX_NAME = 64
_INT64, _UINT64 = -(2**63), 2**64  # more is no integer for most readers of JSON
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_CODE = re.compile(r"[a-z][a-z0-9_]*")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def plain(value: object, depth: int = _MAX_DEPTH) -> object:
    """Return `value` as null, boolean, number, redacted text, or small mappings and lists of these; never raise."""
    if type(value) is str:  # most are
        return text(value)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, SecretStr | SecretBytes | Secret):
        return SECRET
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _small(value, depth)
    return value if _is_scalar(value) else text(_shown(value))


def text(value: str, most: int = _MAX_TEXT) -> str:
    """Return `value` redacted, in at most so many characters, and without lone surrogates, which JSON cannot carry."""
    # Redacted before it is cut, or half a secret would stay; of a huge text, only as much as may matter.
    shown = redact(value[: 2 * most])
    if not shown.isascii():
        shown = shown.encode(errors="backslashreplace").decode()
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def message(value: object) -> str:
    """Return what was logged as a sentence, or as anything else that is no name of an event."""
    return text(value if isinstance(value, str) else _shown(value))


@lru_cache(maxsize=4096)  # tenants and actors come again and again
def identity(value: str) -> str | None:
    """Return a tenant's or an actor's id as it is written; null for none."""
    return text(value, 128) or None


def is_event(value: object) -> TypeGuard[str]:
    """Tell whether `value` is the name of an event, such as `orders.placed`, and not a sentence."""
    return isinstance(value, str) and len(value) <= _MAX_NAME and _is_event(value)


@lru_cache(maxsize=256)
def library_event(module: str) -> str:
    """Return the event of a line that was logged as free text: `python.uvicorn` for the logger `uvicorn.error`."""
    library = "warnings" if module == "py.warnings" else module.partition(".")[0]
    return f"python.{re.sub('[^a-z0-9_]', '_', library.lower())[: _MAX_NAME // 2] or '_'}"


def error_code(value: object) -> str | None:
    """Return a code as the schema has it, or null for what is none."""
    return value if isinstance(value, str) and len(value) <= _MAX_NAME and _CODE.fullmatch(value) else None


def field(key: object) -> tuple[str, bool]:
    """Return the name of a field, and whether what stands under it is hidden, whatever it is."""
    return _field((key if isinstance(key, str) else _shown(key))[: 2 * _MAX_NAME])


@lru_cache(maxsize=1024)
def _is_event(value: str) -> bool:
    return _EVENT.fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _field(key: str) -> tuple[str, bool]:
    name = _NOT_IN_A_NAME.sub("_", redact(key))[:_MAX_NAME] or "_"
    return name, names_a_secret(name)


def _small(value: dict[object, object] | Collection[object], depth: int) -> object:
    if depth == 0:
        return f"<{type(value).__name__} of {len(value)}>"
    if isinstance(value, dict):
        items = list(islice(value.items(), _MAX_ITEMS))  # in one go: another thread may be at work on it
        named = [(*field(key), inner) for key, inner in items]
        return {name: SECRET if hidden else plain(inner, depth - 1) for name, hidden, inner in named}
    return [plain(inner, depth - 1) for inner in list(islice(value, _MAX_ITEMS))]


def _is_scalar(value: object) -> bool:
    if type(value) is int:
        return _INT64 <= value < _UINT64
    return value is None or type(value) in {bool, float}


def _shown(value: object) -> str:
    try:
        if isinstance(value, date):
            return value.isoformat()
        return str(value) if isinstance(value, str | UUID | Decimal | PurePath) else safe_repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__: logging must not raise
        return f"<{type(value).__qualname__}: __repr__ failed>"
