"""Where Alertmanager's messages go here: what PagerDuty, Slack and a heartbeat service would get, kept in memory."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dev.http_server import serving

_TITLE = re.compile(r"\[(firing|resolved)\] (\w+) \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Message:
    """One notification, as its receiver got it."""

    receiver: str
    """`pagerduty <routing key>`, `slack <channel>` or `heartbeat`."""
    alert: str
    service: str
    status: Literal["firing", "resolved"]
    text: str
    at: float
    """Seconds of the monotonic clock."""


class Sink:
    """Their memory. A receiver in `refusing` answers 500, as one that is down."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: list[Message] = []
        self.refusing: set[str] = set()
        self._incidents: dict[str, tuple[str, str]] = {}

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(
            routes=[
                Route("/v2/enqueue", self._pagerduty, methods=["POST"]),
                Route("/slack", self._slack, methods=["POST"]),
                Route("/beats", self._beat, methods=["POST"]),
            ]
        )

    def of(self, alert: str, service: str | None = None) -> list[Message]:
        """Return what came of one alert, the oldest first."""
        return [each for each in list(self.messages) if each.alert == alert and service in (None, each.service)]

    async def _pagerduty(self, request: Request) -> Response:
        told = await request.json()
        payload = told.get("payload") or {}
        status: Literal["firing", "resolved"] = "resolved" if told["event_action"] == "resolve" else "firing"
        receiver = f"pagerduty {told['routing_key']}"
        if refused := self._refused(receiver):
            return refused
        if status == "firing":
            self._incidents[told["dedup_key"]] = payload["class"], payload["group"]
        alert, service = self._incidents[told["dedup_key"]]  # the end says no more than of which incident it is
        self._note(receiver, alert, service, status, str(told))
        return JSONResponse({"status": "success", "message": "Event processed"}, 202)

    async def _slack(self, request: Request) -> Response:
        told = await request.json()
        attachment = told["attachments"][0]
        found = _TITLE.fullmatch(attachment["title"])
        receiver = f"slack {told['channel']}"
        if refused := self._refused(receiver):
            return refused
        status: Literal["firing", "resolved"] = "firing" if found and found[1] == "firing" else "resolved"
        self._note(receiver, found[2] if found else "", found[3] if found else "", status, str(told))
        return PlainTextResponse("ok")

    async def _beat(self, request: Request) -> Response:
        if refused := self._refused("heartbeat"):
            return refused
        labels = (await request.json())["alerts"][0]["labels"]
        self._note("heartbeat", labels["alertname"], "", "firing", request.headers.get("authorization", ""))
        return PlainTextResponse("ok")

    def _refused(self, receiver: str) -> Response | None:
        return PlainTextResponse("down", 500) if receiver in self.refusing else None

    def _note(self, receiver: str, alert: str, service: str, status: Literal["firing", "resolved"], text: str) -> None:
        self.messages.append(Message(receiver, alert, service, status, text, time.monotonic()))


@contextmanager
def receiving() -> Iterator[Sink]:
    """Listen until the block ends."""
    sink = Sink()
    with serving(sink.app()) as sink.url:
        yield sink
