"""What every step of the walk does: ask, and show what became of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from dev.otlp_receiver import ReceivedSpan
from dev.walk.evidence import Evidence, LogLine, NotShown
from dev.walk.screen import Screen

_BUCKET = "http_server_request_duration_seconds_bucket"


@dataclass(slots=True)
class Walk:
    """What the steps share."""

    screen: Screen
    evidence: Evidence
    settle_after_seconds: int
    placed: list[str] = field(default_factory=list)
    """Ids of the orders that were paid."""
    shown: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The first log line and the first event: later ones show only what is different."""

    async def ask(
        self, method: str, path: str, expected: HTTPStatus, body: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], LogLine]:
        """Send one request; show it, its answer and its canonical log line."""
        begun = time.perf_counter()
        response = await self.evidence.api.request(method, path, json=body)
        milliseconds = (time.perf_counter() - begun) * 1000
        request_id = response.headers.get("x-request-id", "")
        self.screen.data("request", f"{method} {path}", body)
        answer = _document(response)
        heading = f"{response.status_code} {response.reason_phrase}, X-Request-ID {request_id}, {milliseconds:.1f} ms"
        if response.status_code != expected:
            raise NotShown(f"{method} {path} answered {response.status_code}, and not {expected.value}")
        line = await self.evidence.log_line("serve", "http.request", request_id=request_id)
        if not line.fields.get("trace_id"):
            raise NotShown(f"no trace id in the log line of request {request_id}")
        self.screen.mark(request_id, line.fields["trace_id"])
        self.screen.data("response", heading, answer)
        if "log line" in self.shown:
            self.screen.data("log line", "", self._news("log line", line.fields))
        else:
            self.shown["log line"] = line.fields
            self.screen.text("log line", line.text)
        return answer, line

    async def trace(self, trace_id: str, *kinds: str) -> list[ReceivedSpan]:
        """Show a trace that has spans of exactly these kinds."""
        self.screen.mark(trace_id)
        spans = await self.evidence.trace(trace_id, *kinds)
        self.screen.trace(spans)
        return spans

    async def metric(self, line: LogLine) -> None:
        """Show the bucket that counted a request, with the exemplar that leads back to its trace."""
        self.screen.text("metric", await self.evidence.sample("http", _BUCKET, line.fields["trace_id"]))

    async def event(self, kind: str, order_id: str) -> Mapping[str, Any]:
        """Show one event as the broker has it."""
        stored = await self.evidence.event(kind, order_id)
        heading = f"CloudEvent {stored.subject}, message {stored.sequence} of the stream"
        self.screen.data("event", heading, self._news("event", stored.body))
        self.shown.setdefault("event", stored.body)
        return stored.body

    async def effect(self, order_id: str, *kinds: str) -> None:
        """Show that the worker has consumed the events: they are in the order's history, once and in order."""
        order = await self.evidence.history(order_id, *kinds)
        self.screen.data("effect", f"GET /v1/orders/{order_id}", {"state": order["state"], "history": order["history"]})

    def _news(self, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        first = self.shown.get(kind, {})
        return {name: value for name, value in fields.items() if first.get(name) != value}


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        raise NotShown(f"the answer {response.status_code} is no JSON") from None
    return document if isinstance(document, dict) else {}
