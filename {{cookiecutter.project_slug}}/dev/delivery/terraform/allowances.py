"""What a plan may do although it is refused otherwise: by name, with a reason, for a few days."""

import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LONGEST = timedelta(days=14)
"""An allowance is for one change, not for a way of working."""


class BadAllowance(Exception):
    """The file cannot be used; the message says which entry, and why."""


class Allowance(BaseModel):
    """One change of one resource."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    address: Annotated[str, Field(pattern=r"^[^*?]+$")]
    what: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    reason: Annotated[str, Field(min_length=10)]
    by: Annotated[str, Field(min_length=2)]
    until: date


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    allow: list[Allowance] = []


def read(path: Path, today: date) -> list[Allowance]:
    """Return what is allowed today; nothing without the file.

    Raises:
        BadAllowance: an entry is wrong, over, or for too long.
    """
    if not path.exists():
        return []
    try:
        allowed = _File.model_validate(tomllib.loads(path.read_text())).allow
    except tomllib.TOMLDecodeError as exc:
        raise BadAllowance(f"{path.name} is not TOML: {exc}") from exc
    except ValidationError as exc:
        places = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()]
        raise BadAllowance(f"{path.name}: {'; '.join(places)}") from exc
    for entry in allowed:
        which = f"{path.name}: the allowance of {entry.address}"
        if entry.until < today:
            raise BadAllowance(f"{which} ended on {entry.until}: take it out")
        if entry.until - today > LONGEST:
            raise BadAllowance(f"{which} ends on {entry.until}, which must be at most {LONGEST.days} days ahead")
    return allowed
