"""kit/marks.py: a marked field is left out of a repr, wherever its object is."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.kit.marks import PERSONAL, SECRET, safe_repr


class Base(DeclarativeBase):
    """Parent of this file's one table."""


class Row(Base):
    """A row with one personal column."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(info=PERSONAL.info)
    note: Mapped[str]


class Model(BaseModel):
    """A model with a field of each kind."""

    name: Annotated[str, PERSONAL]
    pin: Annotated[str, SECRET] = "1234"
    key: SecretStr = SecretStr("hunter2")
    city: str = "Bern"


@dataclass(frozen=True, slots=True)
class Record:
    """A dataclass with one personal field."""

    name: str = field(metadata=PERSONAL.info)
    friend: Model | None = None


SHOWN_MODEL = "Model(name=[personal], pin=[secret], key=SecretStr('**********'), city='Bern')"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Model(name="Ann"), SHOWN_MODEL),
        (Row(id=7, name="Ann"), "Row(id=7, name=[personal])"),
        (Record("Ann"), "Record(name=[personal], friend=None)"),
        (Record("Ann", Model(name="Bob")), f"Record(name=[personal], friend={SHOWN_MODEL})"),
        ([Record("Ann")], "[Record(name=[personal], friend=None)]"),
        ({"who": (Record("Ann"),)}, "{'who': [Record(name=[personal], friend=None)]}"),
    ],
    ids=["model", "row, as far as it is loaded", "dataclass", "nested", "list", "mapping"],
)
def test_a_marked_field_is_not_shown(value: object, shown: str) -> None:
    """The field's name stays, its value does not."""
    assert safe_repr(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "hunter2", "page": 2}, "{'password': [secret], 'page': 2}"),
        (Model(name="Ann", city="ann@mail.example"), SHOWN_MODEL.replace("Bern", "[email]")),
        (7, "7"),
    ],
    ids=["mapping", "model", "number"],
)
def test_the_rest_is_redacted_by_its_shape(value: object, shown: str) -> None:
    """What nobody has marked is still searched for what can be recognised."""
    assert safe_repr(value) == shown


def test_a_deep_value_is_cut() -> None:
    """A list that holds itself has an end."""
    endless: list[object] = []
    endless.append(endless)

    assert safe_repr(endless) == "[[[[…]]]]"
