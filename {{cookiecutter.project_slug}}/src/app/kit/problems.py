"""Problem details for HTTP APIs (RFC 9457): the only place where errors meet HTTP.

Every answer that is not a success is one of these documents: from the domain, from validation, from the router (404,
405), from a layer (401, 413) and from a bug (500). It carries a stable `code` and the `request_id`, and never a stack
trace or text that the client sent, be it a value or the name of a field.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit import asgi, context
from app.kit.errors import AppError, Conflict, Forbidden, Invalid, NotFound, RateLimited, Unavailable
from app.kit.redaction import location_of, redact

MEDIA_TYPE = "application/problem+json"

_STATUS_BY_CATEGORY: Mapping[type[AppError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Forbidden: HTTPStatus.FORBIDDEN,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    AppError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_CODE_BY_STATUS: Mapping[int, str] = {
    400: "malformed_request",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_STATUSES = "problem_statuses"
_MAX_VALIDATION_ERRORS = 20  # a hostile body with 10 000 mistakes must not become a 1 MB answer
_MAX_NAME = 64
_QUOTES_THE_VALUE = {"union_tag_invalid": "Input tag is none of the expected tags"}
"""Rules of pydantic whose message repeats what was sent, and what is said instead."""


class ProblemDocument(BaseModel):
    """What a client receives, as the API's description shows it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] = []


def described(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the part of a route's description that names its refusals, each answered with a problem document.

    It replaces FastAPI's own description of errors, which is not what `install` answers.
    """
    content = {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document, and the exception behind it when it is our fault."""

    status: int
    code: str
    title: str
    detail: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    cause: Exception | None = None

    def body(self) -> bytes:
        """Return the document as JSON, with the request id of the work in hand."""
        document: dict[str, Any] = {
            "type": f"urn:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": context.current().request_id,
        }
        if self.errors:
            document["errors"] = self.errors
        return json.dumps(document, ensure_ascii=False).encode()


_STOPPING = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "server_stopping", Unavailable.title, "The server stopped; the outcome is unknown."
)


def from_error(error: AppError, statuses: Mapping[type[AppError], HTTPStatus] | None = None) -> Problem:
    """Return the problem for `error`; `statuses` refines the status of single error classes."""
    known = {**_STATUS_BY_CATEGORY, **(statuses or {})}
    status = next(known[cls] for cls in type(error).__mro__ if cls in known)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    cause = error if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    return Problem(int(status), error.code, error.title, error.detail, headers=headers, cause=cause)


def answer(error: AppError, scope: Scope) -> Response:
    """Return what the layer would answer, were `error` raised: for whoever has to keep the answer."""
    return _response(from_error(error, scope[_STATUSES]), scope)


class Problems:
    """ASGI layer of a `LayeredApp`: whatever is raised inside becomes a problem document; a bug is recorded as well.

    `statuses` is where a service says which of its own errors are more than their category, such as 402.
    """

    def __init__(self, app: ASGIApp, *, statuses: Mapping[type[AppError], HTTPStatus]) -> None:
        self._app = app
        self._statuses = statuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, receive, send = asgi.exchange(scope, receive, send)
        scope[_STATUSES] = self._statuses
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # The server stops, and has waited for this request as long as it may. Nobody else will answer the client.
            if exchange.started:
                raise
            await _response(_STOPPING, scope)(scope, receive, send)
        except Exception as exc:
            response = _response(self._problem(exc, scope), scope)
            if exchange.started:  # too late for another answer: let the server cut the connection
                raise
            await response(scope, receive, send)

    def _problem(self, exc: Exception, scope: Scope) -> Problem:
        match exc:
            case AppError():
                return from_error(exc, self._statuses)
            case RequestValidationError():
                return _from_validation(exc)
            case HTTPException():
                return _from_http_exception(exc, scope)
            case _:
                return Problem(500, AppError.code, AppError.title, "The error was recorded.", cause=exc)


def _response(problem: Problem, scope: Scope) -> Response:
    asgi.note_problem(scope, code=problem.code, failure=problem.cause)
    return Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE)


def _from_validation(error: RequestValidationError) -> Problem:
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return Problem(400, "malformed_request", "Malformed request", "The body is not valid JSON.")
    # `input` and `ctx` hold what the client sent, which may be a secret: only the place and the rule go back.
    shown = [
        {"pointer": _pointer(location_of(item)), "detail": _detail(item)} for item in errors[:_MAX_VALIDATION_ERRORS]
    ]
    detail = f"{len(errors)} value(s) do not follow the API's description."
    return Problem(422, Invalid.code, Invalid.title, detail, errors=shown)


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return where the mistake is, such as `#/items/0/quantity` (RFC 6901) or `query:limit`."""
    # The key of a mapping is the client's own: escaped, redacted, and cut so that the answer stays small.
    place, *path = (redact(str(part))[:_MAX_NAME].replace("~", "~0").replace("/", "~1") for part in location)
    return "#" + "".join(f"/{part}" for part in path) if place == "body" else f"{place}:{'/'.join(path)}"


def _detail(error: Mapping[str, Any]) -> str:
    return _QUOTES_THE_VALUE.get(error["type"], redact(error["msg"]))


def _from_http_exception(error: HTTPException, scope: Scope) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(asgi.allowed_methods(scope))
    phrase = HTTPStatus(error.status_code).phrase
    code = _CODE_BY_STATUS.get(error.status_code, phrase.lower().replace(" ", "_"))
    return Problem(error.status_code, code, phrase, f"{phrase}.", headers=headers)
