"""CloudEvents 1.0 in JSON, structured mode, as the other side of the broker wrote it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class MalformedEvent(Exception):
    """The message is no CloudEvent; delivering it again will not help."""


class ReceivedEvent(BaseModel):
    """One event. Attributes this consumer does not know are ignored: producers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: UUID
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str
    time: datetime
    tenant: str = ""
    actor: str = ""
    requestid: str = ""
    traceparent: str = ""
    tracestate: str = ""
    data: dict[str, Any]

    def trace_headers(self) -> dict[str, str]:
        """Return the trace context in the form that propagators read."""
        headers = {"traceparent": self.traceparent, "tracestate": self.tracestate}
        return {name: value for name, value in headers.items() if value}


def parse(body: bytes) -> ReceivedEvent:
    """Return the event in `body`.

    Raises:
        MalformedEvent: it is no JSON, or not a CloudEvent of version 1.0.
    """
    try:
        return ReceivedEvent.model_validate_json(body)
    except ValidationError as exc:
        fields = ", ".join(".".join(map(str, error["loc"])) or "body" for error in exc.errors())
        raise MalformedEvent(f"wrong or missing: {fields}") from exc
