"""A payment provider to develop and test against, with switches for everything a real one does wrong.

POST   /authorisations             Idempotency-Key: <order id>; {"amount_minor", "currency", "reference"}
                                   201 {"id", "status": "authorised"} or 402 {"status": "refused"}
POST   /authorisations/{key}/void  204, also when repeated, also before the authorisation: then that is refused
GET    /authorisations             everything that was decided, in order
PUT    /faults                     sets all switches of `Faults`; DELETE /faults puts them back

The same key gives the same answer; another body under the same key gives 422. An amount ending in 13 minor units is
refused. Faults hit every nth call (1: each), counted from the moment they are set, so that tests can predict them.
Memory only: a restarted simulator has forgotten everything.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dev.http_server import ResettableProtocol, parser, serve

REFUSED_ENDING = 13
Every = Annotated[int, Field(ge=0, le=1_000_000)]
_Act = Callable[[], Response]


class Faults(BaseModel):
    """What goes wrong with calls to /authorisations; zero means never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_seconds: float = Field(0.0, ge=0, le=300, description="Added to every call.")
    error_every: Every = Field(0, description="Every nth call: 500, and nothing was decided.")
    reset_every: Every = Field(0, description="Every nth call: decided, and then the connection is reset.")
    garbage_every: Every = Field(0, description="Every nth call: decided, and then answered with nonsense.")
    down: bool = Field(default=False, description="Every call: 503.")


class AuthorisationRequest(BaseModel):
    """Body of POST /authorisations."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    amount_minor: int = Field(gt=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    reference: str = Field(min_length=1, max_length=200)


@dataclass(frozen=True, slots=True)
class _Decision:
    key: str
    request: AuthorisationRequest | None
    status: Literal["authorised", "refused"]
    request_id: str = ""
    """Of the call that was decided, as its sender named it."""
    voided: bool = False

    def as_json(self) -> dict[str, Any]:
        asked = self.request.model_dump() if self.request else {}
        told = {"id": f"auth-{self.key}", "key": self.key, "status": self.status, "voided": self.voided}
        return {**told, "request_id": self.request_id, **asked}


class PaymentSimulator:
    """The provider's memory and its faults."""

    def __init__(self) -> None:
        self._decisions: dict[str, _Decision] = {}
        self._faults = Faults()
        self._calls = 0

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(
            routes=[
                Route("/authorisations", self._authorise, methods=["POST"]),
                Route("/authorisations", self._list, methods=["GET"]),
                Route("/authorisations/{key}/void", self._void, methods=["POST"]),
                Route("/faults", self._set_faults, methods=["PUT"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
            ]
        )

    async def _authorise(self, request: Request) -> Response:
        return await self._with_faults(request, await self._decide(request))

    async def _void(self, request: Request) -> Response:
        key = request.path_params["key"]

        def void() -> Response:
            known = self._decisions.get(key, _Decision(key, None, "refused"))
            self._decisions[key] = replace(known, voided=True)
            return Response(status_code=204)

        return await self._with_faults(request, void)

    async def _decide(self, request: Request) -> _Act:
        key = request.headers.get("idempotency-key", "")
        if not key:
            return lambda: JSONResponse({"error": "The header Idempotency-Key is missing."}, 400)
        try:
            asked = AuthorisationRequest.model_validate_json(await request.body())
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]["msg"]
            return lambda: JSONResponse({"error": problem}, 422)
        return lambda: self._answer(key, asked, request.headers.get("x-request-id", ""))

    def _answer(self, key: str, asked: AuthorisationRequest, request_id: str) -> Response:
        refused = asked.amount_minor % 100 == REFUSED_ENDING
        new = _Decision(key, asked, "refused" if refused else "authorised", request_id)
        decision = self._decisions.setdefault(key, new)
        if decision.request not in {None, asked}:
            return JSONResponse({"error": "This key was used with another body."}, 422)
        if decision.status == "refused":
            return JSONResponse({"status": "refused"}, 402)
        return JSONResponse({"id": f"auth-{key}", "status": "authorised"}, 201)

    async def _with_faults(self, request: Request, act: _Act) -> Response:
        faults = self._faults
        self._calls += 1
        nth = self._calls
        if faults.latency_seconds:
            await asyncio.sleep(faults.latency_seconds)
        if faults.down:
            return PlainTextResponse("down", 503)
        if _hits(faults.error_every, nth):
            return PlainTextResponse("error", 500)
        response = act()
        if _hits(faults.reset_every, nth):
            ResettableProtocol.reset(request)
        if _hits(faults.garbage_every, nth):
            return Response(b"<html>}{", 201, media_type="application/json")
        return response

    async def _list(self, _: Request) -> Response:
        return JSONResponse([decision.as_json() for decision in self._decisions.values()])

    async def _set_faults(self, request: Request) -> Response:
        try:
            self._faults = Faults.model_validate_json(await request.body())
        except ValidationError as exc:
            return JSONResponse(exc.errors(include_url=False, include_context=False), 422)
        self._calls = 0
        return JSONResponse(self._faults.model_dump())

    async def _clear_faults(self, _: Request) -> Response:
        self._faults, self._calls = Faults(), 0
        return Response(status_code=204)


def _hits(every: int, nth: int) -> bool:
    return every > 0 and nth % every == 0


if __name__ == "__main__":
    serve(PaymentSimulator().app(), port=parser(__doc__, port=8002).parse_args().port, http=ResettableProtocol)
