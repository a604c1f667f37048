"""Where rules come from."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class FeatureFlagSettings(BaseModel):
    """The flag server, and what is known without it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Unleash's API, such as https://unleash.example.com/api; none: no server.",
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
