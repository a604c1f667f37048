"""The five requests of the walk. Each step prints what it finds, and ends the walk when something is not there."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from dev.otlp_receiver import ReceivedSpan
from dev.payment_simulator import REFUSED_ENDING
from dev.walk.evidence import Evidence, LogLine, NotShown
from dev.walk.screen import Screen

_TEA = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]}
_REFUSED = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 1, "unit_price_minor": 400 + REFUSED_ENDING}]}
_BAD = {"currency": "euro", "items": [{"sku": "tea", "quantity": -2, "unit_price_minor": 450}]}
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
        self.screen.mark(request_id)
        self.screen.data("request", f"{method} {path}", body)
        answer = _document(response)
        heading = f"{response.status_code} {response.reason_phrase}, X-Request-ID {request_id}, {milliseconds:.1f} ms"
        if response.status_code != expected:
            raise NotShown(f"{method} {path} answered {response.status_code}, and not {expected.value}")
        line = await self.evidence.log_line("serve", "http.request", request_id=request_id)
        self.screen.mark(line.fields["trace_id"])
        self.screen.data("response", heading, answer)
        if self._first("log line", line.fields):
            self.screen.text("log line", line.text)
        return answer, line

    async def trace(self, trace_id: str, *kinds: str) -> list[ReceivedSpan]:
        """Show a trace that has spans of exactly these kinds."""
        spans = await self.evidence.trace(trace_id, *kinds)
        self.screen.trace(spans)
        return spans

    async def metric(self, line: LogLine) -> None:
        """Show the bucket that counted a request, with the exemplar that leads back to its trace."""
        self.screen.text("metric", await self.evidence.sample("http", _BUCKET, line.fields["trace_id"]))

    async def event(self, kind: str, order_id: str) -> Mapping[str, Any]:
        """Show one event as the broker has it."""
        stored = await self.evidence.event(kind, order_id)
        self.screen.text("event", f"{stored.subject}, message {stored.sequence} of the stream")
        if self._first("event", stored.body):
            self.screen.data("", "CloudEvents 1.0:", stored.body)
        return stored.body

    async def effect(self, order_id: str, *kinds: str) -> None:
        """Show that the worker has consumed the events: they are in the order's history, once and in order."""
        order = await self.evidence.history(order_id, *kinds)
        self.screen.data("effect", f"GET /v1/orders/{order_id}", {"state": order["state"], "history": order["history"]})


async def paid(walk: Walk) -> None:
    """One request, and the six places where it can be seen."""
    order, line = await walk.ask("POST", "/v1/orders", HTTPStatus.CREATED, _TEA)
    spans = await walk.trace(line.fields["trace_id"], "SERVER", "CLIENT", "CONSUMER")
    await walk.metric(line)
    event = await walk.event("order.placed", order["id"])
    handled = await walk.evidence.log_line("worker", "inbox.message_handled", event_id=event["id"])
    if (handled.fields["request_id"], handled.fields["trace_id"]) != (line.fields["request_id"], spans[0].trace_id):
        raise NotShown("the worker's line has another request id or trace id than the request")
    walk.screen.text("worker", handled.text)
    await walk.effect(order["id"], "order.placed")
    began, ended = min(span.began_ns for span in spans), max(span.ended_ns for span in spans)
    walk.screen.text("took", f"{(ended - began) / 1e6:.1f} ms from the request's arrival to the event's effect")
    walk.placed.append(order["id"])


async def refused(walk: Walk) -> None:
    """A refusal is an answer with a code, a state of the order, and an event."""
    problem, line = await walk.ask("POST", "/v1/orders", HTTPStatus.PAYMENT_REQUIRED, _REFUSED)
    _require(problem["code"] == line.fields["error_code"] == "payment_refused", "the code payment_refused")
    await walk.trace(line.fields["trace_id"], "SERVER", "CLIENT", "CONSUMER")
    await walk.metric(line)
    order_id = problem["detail"].rstrip(".").rsplit(" ", 1)[1]
    await walk.event("order.refused", order_id)
    await walk.effect(order_id, "order.refused")


async def provider_down(walk: Walk) -> None:
    """The order is taken all the same, and the worker settles it when the provider is back."""
    begun = time.perf_counter()
    (await walk.evidence.provider.put("/faults", json={"down": True})).raise_for_status()
    walk.screen.text("fault", "the payment provider answers 503 to every call")
    order, line = await walk.ask("POST", "/v1/orders", HTTPStatus.ACCEPTED, _TEA)
    _require(order["state"] == "pending", "an order that is pending")
    await walk.trace(line.fields["trace_id"], "SERVER", "CLIENT")
    await walk.metric(line)
    (await walk.evidence.provider.delete("/faults")).raise_for_status()
    after = f"{walk.settle_after_seconds} s after the order (10 s by default)"
    walk.screen.text("repair", f"the payment provider is back; the worker asks again {after}")
    event = await walk.event("order.placed", order["id"])
    await walk.trace(event["traceparent"].split("-")[1], "INTERNAL", "CLIENT", "CONSUMER")
    walk.screen.text("metric", await walk.evidence.sample("worker", 'orders_settled_total{state="placed"}'))
    await walk.effect(order["id"], "order.placed")
    walk.screen.text("took", f"{time.perf_counter() - begun:.1f} s from the request to the event's effect")


async def cancelled(walk: Walk) -> None:
    """The customer's change of mind reaches the provider by way of the worker."""
    order_id = walk.placed[0]
    _order, line = await walk.ask("POST", f"/v1/orders/{order_id}/cancel", HTTPStatus.OK)
    await walk.trace(line.fields["trace_id"], "SERVER", "CONSUMER")
    await walk.metric(line)
    await walk.event("order.cancelled", order_id)
    await walk.effect(order_id, "order.placed", "order.cancelled")
    payment = await walk.evidence.payment(order_id, voided=True)
    walk.screen.data("payment", "GET /authorisations of the payment provider: released by the worker", payment)


async def bad_request(walk: Walk) -> None:
    """A mistake is named, counted and logged; nothing is written."""
    before = (await walk.evidence.api.get("/v1/orders")).json()
    problem, line = await walk.ask("POST", "/v1/orders", HTTPStatus.UNPROCESSABLE_ENTITY, _BAD)
    _require(len(problem["errors"]) == 2 and line.fields["error_code"] == problem["code"], "both mistakes by name")  # noqa: PLR2004 - currency and quantity
    await walk.trace(line.fields["trace_id"], "SERVER")
    await walk.metric(line)
    _require((await walk.evidence.api.get("/v1/orders")).json() == before, "the same orders as before")
    walk.screen.text("effect", f"GET /v1/orders: the same {len(before['orders'])} orders as before")


STEPS: Mapping[str, Callable[[Walk], Awaitable[None]]] = {
    "An order is placed and paid": paid,
    "The payment provider refuses": refused,
    "The payment provider is down, and the worker settles the order later": provider_down,
    "The first order is cancelled": cancelled,
    "A request with two mistakes": bad_request,
}


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        raise NotShown(f"the answer {response.status_code} is no JSON") from None
    return document if isinstance(document, dict) else {}


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise NotShown(f"not {what}")
