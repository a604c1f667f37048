"""The five requests of the walk. Each step prints what it finds, and ends the walk when something is not there."""

import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from dev.payment_simulator import REFUSED_ENDING
from dev.walk.evidence import NotShown
from dev.walk.walk import Walk

_TEA = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 2, "unit_price_minor": 450}]}
_REFUSED = {"currency": "EUR", "items": [{"sku": "tea", "quantity": 1, "unit_price_minor": 400 + REFUSED_ENDING}]}
_BAD = {"currency": "euro", "items": [{"sku": "tea", "quantity": -2, "unit_price_minor": 450}]}


async def paid(walk: Walk) -> None:
    """One request, and the six places where it can be seen."""
    order, line = await walk.ask("POST", "/v1/orders", HTTPStatus.CREATED, _TEA)
    spans = await walk.trace(line.fields["trace_id"], "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    await walk.metric(line)
    event = await walk.event("order.placed", order["id"])
    handled = await walk.evidence.log_line("worker", "inbox.message_handled", event_id=event["id"])
    for name in ("request_id", "trace_id"):
        _require(handled.fields[name] == line.fields[name], f"the request's {name} in the worker's line")
    walk.screen.text("log line", handled.text)
    await walk.effect(order["id"], "order.placed")
    began, ended = min(span.began_ns for span in spans), max(span.ended_ns for span in spans)
    walk.screen.text("took", f"{(ended - began) / 1e6:.1f} ms from the request's arrival to the event's effect")
    walk.placed.append(order["id"])


async def refused(walk: Walk) -> None:
    """A refusal is an answer with a code, a state of the order, and an event."""
    problem, line = await walk.ask("POST", "/v1/orders", HTTPStatus.PAYMENT_REQUIRED, _REFUSED)
    _require(problem["code"] == line.fields["error_code"] == "payment_refused", "the code payment_refused")
    await walk.trace(line.fields["trace_id"], "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
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
    _require("traceparent" in event, "a traceparent in the event")
    await walk.trace(event["traceparent"].split("-")[1], "INTERNAL", "CLIENT", "PRODUCER", "CONSUMER")
    walk.screen.text("metric", await walk.evidence.sample("worker", 'orders_settled_total{state="placed"}'))
    await walk.effect(order["id"], "order.placed")
    walk.screen.text("took", f"{time.perf_counter() - begun:.1f} s from the request to the event's effect")


async def cancelled(walk: Walk) -> None:
    """The customer's change of mind reaches the provider by way of the worker."""
    order_id = walk.placed[0]
    _order, line = await walk.ask("POST", f"/v1/orders/{order_id}/cancel", HTTPStatus.OK)
    await walk.trace(line.fields["trace_id"], "SERVER", "PRODUCER", "CONSUMER")
    await walk.metric(line)
    await walk.event("order.cancelled", order_id)
    await walk.effect(order_id, "order.placed", "order.cancelled")
    payment = await walk.evidence.payment(order_id, voided=True)
    walk.screen.data("payment", "GET /authorisations of the payment provider: released by the worker", payment)


async def bad_request(walk: Walk) -> None:
    """A mistake is named, counted and logged; nothing is written."""
    before = (await walk.evidence.api.get("/v1/orders")).json()
    problem, line = await walk.ask("POST", "/v1/orders", HTTPStatus.UNPROCESSABLE_ENTITY, _BAD)
    _require(len(problem["errors"]) == 2 and line.fields["error_code"] == problem["code"], "both mistakes by name")
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


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise NotShown(f"not {what}")
