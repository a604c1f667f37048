"""One step of a journey, and the reasons for which it can fail."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

_Content = TypeVar("_Content", bound=BaseModel)


class Reason(StrEnum):
    """Why a step failed: a label of metrics, so the list is closed."""

    TIMEOUT = "timeout"
    """No end within the time that a step has."""
    REFUSED = "refused"
    """No answer: the name, the connection or the encryption failed, or it broke."""
    STATUS = "status"
    """An answer with another status than a customer needs."""
    CONTENT = "content"
    """The right status, and not what it should say."""
    UNEXPECTED = "unexpected"
    """The step itself went wrong, such as for want of its secret: look here, not at the service."""


class StepFailed(Exception):
    """A step did not do what a customer expects of it; `detail` is for the log, and holds nothing secret."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a customer does. It returns when it is done, and otherwise raises."""

    name: str
    take: Callable[[], Awaitable[object]]
    always: bool = False
    """Whether it is taken also after an earlier one has failed, as what cleans up is."""


def expect(response: httpx.Response, content: type[_Content], status: int = HTTPStatus.OK) -> _Content:
    """Return what an answer says.

    Raises:
        StepFailed: it has another status, or does not say that.
    """
    if response.status_code != status:
        raise StepFailed(Reason.STATUS, f"answered with {response.status_code}, and not with {int(status)}")
    try:
        return content.model_validate_json(response.content)
    except ValidationError as exc:
        error = exc.errors(include_input=False)[0]  # never the input: an answer may hold a token
        place = ".".join(map(str, error["loc"])) or "the answer"
        raise StepFailed(Reason.CONTENT, f"{place}: {error['type']}") from None


def failure_of(error: Exception, *, timeout_seconds: float) -> StepFailed:
    """Return what an error means that has ended a step."""
    match error:
        case StepFailed():
            return error
        case TimeoutError() | httpx.TimeoutException():
            return StepFailed(Reason.TIMEOUT, f"no end within {timeout_seconds:g} s")
        case httpx.TransportError():
            return StepFailed(Reason.REFUSED, type(error).__name__)
    unexpected = StepFailed(Reason.UNEXPECTED, type(error).__name__)
    unexpected.__cause__ = error
    return unexpected
