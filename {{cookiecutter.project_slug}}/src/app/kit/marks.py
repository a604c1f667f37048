"""Fields that hold secrets or personal data are marked where they are declared, and a repr leaves them out.

    class Customer(BaseModel):
        email: Annotated[str, PERSONAL]

    class CustomerRow(Base):
        email: Mapped[str] = mapped_column(info=PERSONAL.info)

A value that is a secret wherever it goes is better a `SecretStr`: it needs no mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

from app.kit.redaction import redact

_MAX_ITEMS = 20


@dataclass(frozen=True, slots=True)
class Mark:
    """What a field holds."""

    name: str

    @property
    def info(self) -> dict[str, "Mark"]:
        """The mark for declarations that take a mapping: `info` of a column, `metadata` of a dataclass's field."""
        return {"mark": self}


PERSONAL = Mark("personal")
SECRET = Mark("secret")


def safe_repr(value: object) -> str:
    """Return a redacted repr, with `[personal]` or `[secret]` for the marked fields of models, rows and dataclasses."""
    return redact(_repr(value, 4))


def _repr(value: object, depth: int) -> str:
    if depth == 0:
        return "…"
    cls: Any = type(value)
    marks = _marks_of(cls)
    if marks is not None:
        shown = [
            f"{name}=[{marks[name].name}]" if name in marks else f"{name}={_repr(inner, depth - 1)}"
            for name, inner in _loaded(value).items()
        ]
        return f"{cls.__name__}({', '.join(shown)})"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MAX_ITEMS]
        return f"{{{', '.join(f'{key!r}: {_repr(inner, depth - 1)}' for key, inner in pairs)}}}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(_repr(inner, depth - 1) for inner in list(value)[:_MAX_ITEMS])}]"
    return repr(value)


def _loaded(value: Any) -> dict[str, object]:  # noqa: ANN401 - whatever has fields
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
    # Of a row only what is loaded already: a repr must not ask the database.
    return {name: inner for name, inner in vars(value).items() if not name.startswith("_")}


@lru_cache(maxsize=1024)
def _marks_of(cls: Any) -> Mapping[str, Mark] | None:  # noqa: ANN401 - a class, known by its attributes
    """Return the marked fields of a class that has fields, and None for any other."""
    found: dict[str, Any]
    if is_dataclass(cls):
        found = {field.name: field.metadata.values() for field in fields(cls)}
    elif hasattr(cls, "model_fields"):  # pydantic
        found = {name: field.metadata for name, field in cls.model_fields.items()}
    elif hasattr(cls, "__mapper__"):  # SQLAlchemy
        found = {column.key: column.columns[0].info.values() for column in cls.__mapper__.column_attrs}
    else:
        return None
    return {name: mark for name, marks in found.items() for mark in marks if isinstance(mark, Mark)}
