"""What the models of all sources have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Part(BaseModel):
    """A part of a source: unknown keys are mistakes, and a number in quotes is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z\"{].+\.$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
