"""Rules as data: which rows are removed, when, and what happens to them before."""

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError


class BadRules(Exception):
    """The file cannot be used; the message names each key that is wrong."""


class Rule(BaseModel):
    """What happens to the rows of one table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keep_days: int = Field(ge=1, le=36_525, description="Days that a row is there at least.")
    then: Literal["archive", "drop"] = Field(description="Whether rows are archived before they go.")
    unless: str | None = Field(None, min_length=1, description="A condition in SQL on a row that stays.")

    def is_due(self, end: datetime, now: datetime) -> bool:
        """Tell whether what came before `end` may go."""
        return end + timedelta(days=self.keep_days) <= now


class RetentionSettings(BaseModel):
    """Where archives are, and how much one run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive_url: str | None = Field(
        None,
        pattern=r"^(s3://[^/]+(/.*)?|file:///.+)$",
        description="`s3://bucket/prefix`, a bucket with Object Lock, or, for development, `file:///folder`.",
    )
    s3_endpoint_url: str | None = Field(None, description="Another server that speaks S3.")
    archive_days: int = Field(
        365, ge=1, description="How long nobody can delete an archived object, not even the account's owner."
    )
    months_per_run: int = Field(
        3, ge=1, description="Most months of a table that one run removes: a clock that is wrong does not empty it."
    )


_Rules = TypeAdapter(dict[Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")], Rule])


def parse(body: str) -> Mapping[str, Rule]:
    """Return the rule of each table.

    Raises:
        BadRules: it is no TOML, or not of these words.
    """
    try:
        return _Rules.validate_python(tomllib.loads(body))
    except tomllib.TOMLDecodeError as exc:
        raise BadRules(f"these are no rules: {exc}") from exc
    except ValidationError as exc:
        wrong = (f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors(include_input=False))
        raise BadRules("\n".join(wrong)) from None
