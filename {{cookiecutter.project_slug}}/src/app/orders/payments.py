"""The payment provider: the port the domain needs, and the HTTP client behind it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.kit.errors import Unavailable
from app.patterns.outbound_telemetry import URL_TEMPLATE

_log = structlog.get_logger(__name__)


class PaymentSettings(BaseModel):
    """How to reach the payment provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://", description="Base URL of the provider.")
    timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for one answer of the provider.")


class Decision(StrEnum):
    """What the provider says to a payment."""

    AUTHORISED = "authorised"
    REFUSED = "refused"


class PaymentsUnavailable(Unavailable):
    """No usable answer: whether the amount is authorised is unknown. Asking again with the same order is safe."""

    code = "payments_unavailable"


class PaymentProvider(Protocol):
    """What orders need from a provider. All calls are idempotent by order id."""

    async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
        """Reserve the amount.

        Raises:
            PaymentsUnavailable: unknown whether it is reserved.
        """
        ...

    async def release(self, order_id: UUID) -> None:
        """Let go of what was reserved, if anything.

        Raises:
            PaymentsUnavailable: unknown whether it is released.
        """
        ...


class _Answer(BaseModel):
    status: Literal["authorised", "refused"]


class HttpPaymentProvider:
    """The provider's HTTP API."""

    def __init__(self, client: httpx.AsyncClient, settings: PaymentSettings) -> None:
        self._client = client
        self._settings = settings

    async def authorise(self, order_id: UUID, *, amount_minor: int, currency: str) -> Decision:
        body = {"amount_minor": amount_minor, "currency": currency, "reference": str(order_id)}
        response = await self._post("/authorisations", json=body, headers={"Idempotency-Key": str(order_id)})
        if response.status_code not in (httpx.codes.CREATED, httpx.codes.PAYMENT_REQUIRED):
            raise PaymentsUnavailable(f"The payment provider answered {response.status_code}.")
        try:
            return Decision(_Answer.model_validate_json(response.content).status)
        except ValidationError as exc:
            raise PaymentsUnavailable("The payment provider's answer makes no sense.") from exc

    async def release(self, order_id: UUID) -> None:
        response = await self._post("/authorisations/{order_id}/void", order_id=order_id)
        if response.status_code != httpx.codes.NO_CONTENT:
            raise PaymentsUnavailable(f"The payment provider answered {response.status_code}.")

    async def _post(
        self,
        template: str,
        *,
        json: Mapping[str, object] | None = None,
        headers: dict[str, str] | None = None,
        **variables: object,
    ) -> httpx.Response:
        try:
            return await self._client.post(
                self._settings.url.rstrip("/") + template.format(**variables),
                json=json,
                headers=headers,
                timeout=self._settings.timeout_seconds,
                extensions={URL_TEMPLATE: template},
            )
        except httpx.HTTPError as exc:
            _log.warning("payments.call_failed", error=type(exc).__name__)
            raise PaymentsUnavailable("The payment provider cannot be reached.") from exc
