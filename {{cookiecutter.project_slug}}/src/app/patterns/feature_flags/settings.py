"""Where rules come from."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, field_validator


class FeatureFlagSettings(BaseModel):
    """The flag server, and what is known without it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl | None = Field(
        None, description="Unleash's API, such as https://unleash.example.com/api; none: no server."
    )
    token: SecretStr | None = Field(None, description="Backend token of Unleash; it chooses the environment there.")
    poll_seconds: float = Field(15.0, gt=0, description="From one answer to the next question.")
    timeout_seconds: float = Field(5.0, gt=0, description="The longest that one question may take, answer included.")
    cache_folder: Path | None = Field(
        None, description="Where the last rules are kept for the next start; none where nothing can be written."
    )
    bootstrap_file: Path | None = Field(
        None, description="Rules to begin with, as Unleash's client API sends them, while no others are known."
    )

    @field_validator("token")
    @classmethod
    def _fits_into_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError("a token is printable ASCII, without a space or an end of line")
        return token
