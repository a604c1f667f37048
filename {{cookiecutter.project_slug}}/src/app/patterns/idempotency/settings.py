"""How long keys live."""

from pydantic import BaseModel, ConfigDict, Field


class IdempotencySettings(BaseModel):
    """How long keys live. Retries only ever look at what the first request made: no value here can do harm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_hours: float = Field(24.0, gt=0, le=720, description="A key and its answer are forgotten after this long.")
    in_flight_seconds: float = Field(
        10.0, gt=0, le=600, description="Without an answer for this long, the first request is taken for dead."
    )


def described(settings: IdempotencySettings) -> str:
    """Return what the API's description says to clients, who have to know when a key is forgotten."""
    return (
        "Requests with the header `Idempotency-Key` may be sent again: they are done once, and answered as the first "
        f"time. A key and its answer are kept for {settings.keep_hours:g} hours."
    )
