"""One answer over HTTP within a deadline, or one line that says why there is none: how monitoring is asked."""

import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx


class NotKnown(Exception):
    """Nothing can be said; the message is one line that says why."""


def ask(
    whom: str,
    method: str,
    url: str,
    *,
    timeout_seconds: float,
    token: str | None = None,
    params: Mapping[str, str | float] | None = None,
    body: Mapping[str, Any] | None = None,
) -> bytes:
    """Return what `whom` answers.

    It is asked in a thread that is left behind at the deadline: httpx limits each step, so a server that sends a byte
    now and then has no end; and nothing limits the look-up of a name.

    Raises:
        NotKnown: no answer in time, or one that is no success; a redirection, such as to a login page, is none.
    """
    answers: queue.SimpleQueue[httpx.Response | Exception] = queue.SimpleQueue()
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def work() -> None:
        try:
            answers.put(httpx.request(method, url, params=params, json=body, headers=headers, timeout=timeout_seconds))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
            answers.put(exc)

    threading.Thread(target=work, name=f"ask-{whom}", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_seconds)
    except queue.Empty:
        answer = httpx.ReadTimeout("")
    if isinstance(answer, httpx.TimeoutException):
        raise NotKnown(f"{whom} did not answer in time")
    if isinstance(answer, Exception):
        raise NotKnown(f"{whom} cannot be asked: {answer}")
    if not answer.is_success:
        raise NotKnown(f"{whom} answered {answer.status_code} {answer.reason_phrase}".rstrip())
    return answer.content


def read_token(path: Path | None) -> str | None:
    """Return the bearer token of a file, if there is a file.

    Raises:
        NotKnown: it cannot be read, or nothing is in it.
    """
    if path is None:
        return None
    try:
        token = path.read_text().strip()
    except (OSError, ValueError) as exc:
        raise NotKnown(f"the token cannot be read: {exc}") from exc
    if not token:
        raise NotKnown(f"{path} holds no token")
    return token
