"""What a token must say to be accepted, and how its issuer's keys are kept."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Algorithm = Literal["ES256", "ES384", "EdDSA", "RS256", "PS256"]
"""Public-key signatures only: with a shared secret (HS256), whoever can verify could also forge."""


class AuthenticationSettings(BaseModel):
    """Whose tokens are accepted, and for how long keys and clocks are trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="The `iss` claim that every token must carry, compared exactly.")
    audience: str = Field(min_length=1, description="The name of this service, which the `aud` claim must contain.")
    jwks_url: str = Field(pattern=r"^https?://", description="Where the issuer publishes its public keys.")
    algorithms: tuple[Algorithm, ...] = Field(
        ("ES256", "EdDSA", "RS256"), min_length=1, description="Signature algorithms that are accepted."
    )
    leeway_seconds: float = Field(10.0, ge=0, le=300, description="How far clocks may differ.")
    max_token_bytes: int = Field(8192, ge=256, description="Longer tokens are refused unread.")
    jwks_cache_seconds: float = Field(300.0, gt=0, description="Age at which known keys are fetched again.")
    jwks_stale_seconds: float = Field(86_400.0, gt=0, description="Age up to which keys serve while fetching fails.")
    jwks_cooldown_seconds: float = Field(5.0, gt=0, description="Shortest time between two fetches, whatever comes in.")
    jwks_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for one fetch.")
    pseudonym_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Key of the pseudonyms for subjects such as e-mail addresses, the same in each process that should "
        "give the same ones; without it each process has its own.",
    )
    verified_tokens: int = Field(4096, ge=0, description="Verified tokens remembered until they expire; 0 for none.")
