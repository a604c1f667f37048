"""Every variable of the environment that the service's processes read, as its settings declare them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.settings import ProbeProcess, Settings


class Variable(NamedTuple):
    """One of them."""

    required: bool
    """Whether a start needs it."""
    secret: bool
    default: object


def variables(model: type[BaseModel]) -> Mapping[str, Variable]:
    """Return the variables of a settings model by name."""
    return dict(_variables(model, "APP_", needed=True, defaults=None))


def all_variables() -> Mapping[str, Variable]:
    """Return those of all processes."""
    return {**variables(ProbeProcess), **variables(Settings)}


def _variables(
    model: type[BaseModel], prefix: str, *, needed: bool, defaults: object
) -> Iterator[tuple[str, Variable]]:
    for name, field in model.model_fields.items():
        variable = str(field.validation_alias or f"{prefix}{name.upper()}")
        required = needed and field.is_required()
        default = getattr(defaults, name, None if field.is_required() else field.default)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _variables(field.annotation, f"{variable}__", needed=required, defaults=default)
        else:
            yield variable, Variable(required, _is_secret(field), default)


def _is_secret(field: FieldInfo) -> bool:
    def within(kind: object) -> bool:
        return kind is SecretStr or any(within(part) for part in get_args(kind))

    return within(field.annotation)
