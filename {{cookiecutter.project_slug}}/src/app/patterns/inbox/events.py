"""CloudEvents 1.0 in JSON, structured mode, as the other side of the broker wrote it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.kit.ids import is_id
from app.kit.redaction import redact


class MalformedEvent(Exception):
    """The message is no CloudEvent; delivering it again will not help."""


def _id_or_nothing(text: str) -> str:
    return text if is_id(text) else ""


class ReceivedEvent(BaseModel):
    """One event. Attributes this consumer does not know are ignored: producers may add some.

    What names the work in logs and spans has a shape: a producer's mistake must not put a customer's text there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: UUID
    source: str = Field(min_length=1)
    type: str = Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$", max_length=100)
    subject: str
    time: datetime
    tenant: str = Field("", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")
    actor: Annotated[str, AfterValidator(redact)] = ""
    requestid: Annotated[str, AfterValidator(_id_or_nothing)] = ""
    traceparent: str = ""
    dataschema: str = ""
    """Names the version of `data`, such as `urn:schema:order.placed:1`."""
    data: dict[str, Any]

    def trace_headers(self) -> dict[str, str]:
        """Return the trace context in the form that propagators read."""
        return {"traceparent": self.traceparent} if self.traceparent else {}


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
