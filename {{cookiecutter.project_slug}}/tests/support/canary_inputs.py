"""Every way into the service: what it reads, what it ignores, and what its neighbours send."""

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

import nats
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from app.kit.ids import uuid7
from tests.support.canaries import KINDS, World
from tests.support.eventually import eventually
from tests.support.raw_http import Answer, chunked, request
from tests.support.running_service import READ_AND_WRITE

Send = Callable[[World, str], Awaitable[list[Answer]]]
JSON = ("content-type", "application/json")
TRACEPARENT = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
ITEM = {"sku": "tea-1", "quantity": 2, "unit_price_minor": 1250}
CODES = frozenset({"card", "IBAN", "JWT", "token", "password"})
"""Kinds that the name of an article can be."""
RECOGNISED = frozenset({"card", "e-mail", "IBAN", "JWT"})
"""Kinds that are known by their shape, without a word in front of them, and have no blanks."""


@dataclass(frozen=True)
class Input:
    """One way in, and the kinds of canary that it is tried with."""

    send: Send
    kinds: frozenset[str] = frozenset(KINDS)


def bearer(world: World, **claims: object) -> tuple[str, str]:
    """Return a header that lets one in."""
    return "authorization", f"Bearer {world.service.issuer.mint(scope=READ_AND_WRITE, claims=claims)}"


# --- over HTTP ---


def target(template: str, method: str = "GET") -> Input:
    """Put the canary into the target of a request."""

    async def send(world: World, canary: str) -> list[Answer]:
        filled = template.replace("CANARY", quote(canary, safe="@"))
        return [await world.send(request(method, filled, headers=[bearer(world)]))]

    return Input(send)


def header(name: str, value: str = "CANARY", *more: tuple[str, str]) -> Input:
    """Put the canary into a header, beside a good token unless the header is the one for tokens."""

    async def send(world: World, canary: str) -> list[Answer]:
        sent = (name.replace("CANARY", canary.replace(" ", "-")), value.replace("CANARY", canary))
        token = [] if name == "authorization" else [bearer(world)]
        return [await world.send(request(headers=[sent, *more, *token]))]

    return Input(send)


def body(template: str, *headers: tuple[str, str]) -> Input:
    """Put the canary into a body."""

    async def send(world: World, canary: str) -> list[Answer]:
        filled = template.replace("CANARY", canary).encode()
        return [await world.send(request("POST", headers=[bearer(world), *(headers or (JSON,))], body=filled))]

    return Input(send)


def order(**fields: object) -> Input:
    """Put the canary into an order that is wrong somewhere."""
    return body(json.dumps({"currency": "EUR", "items": [{**ITEM, **fields}]}))


def claim(kinds: frozenset[str] = frozenset(KINDS), **claims: str) -> Input:
    """Put the canary into a token that is signed as it should be."""

    async def send(world: World, canary: str) -> list[Answer]:
        filled = {name: value.replace("CANARY", canary) for name, value in claims.items()}
        return [await world.send(request(headers=[bearer(world, **filled)]))]

    return Input(send, kinds)


async def basic(world: World, canary: str) -> list[Answer]:
    """Send a password as browsers do."""
    encoded = base64.b64encode(f"ann:{canary}".encode()).decode()
    return [await world.send(request(headers=[("authorization", f"Basic {encoded}")]))]


async def host(world: World, canary: str) -> list[Answer]:
    """Ask for another host."""
    return [await world.send(request(headers=[bearer(world)]).replace(b"host: service", f"host: {canary}".encode()))]


async def large(world: World, canary: str) -> list[Answer]:
    """Send a body over the limit, announced and in chunks."""
    filled = json.dumps({canary: [canary] * 100_000}).encode()
    chunks = request("POST", headers=[bearer(world), JSON, ("transfer-encoding", "chunked")], body=chunked(filled))
    return [await world.send(request("POST", headers=[bearer(world), JSON], body=filled)), await world.send(chunks)]


async def worker(world: World, canary: str) -> list[Answer]:
    """Ask the other process for a page that it does not have."""
    return [await world.send(request(target=f"/{quote(canary)}"), port=world.service.addresses.worker_port)]


async def placed(world: World, canary: str, currency: str = "EUR") -> Answer:
    """Place an order for an article of that name."""
    content = json.dumps({"currency": currency, "items": [{**ITEM, "sku": canary}]}).encode()
    return await world.send(request("POST", headers=[bearer(world), JSON], body=content))


async def legitimate(world: World, canary: str) -> list[Answer]:
    """Send what belongs there: the order may be read, and nothing else tells of it."""
    answer = await placed(world, canary)
    assert answer.status == 201
    return [answer]


# --- from neighbours ---


def provider(answer: Callable[[str], Response]) -> Input:
    """Let the payment provider answer with the canary, at first; the worker settles the order later."""

    async def send(world: World, canary: str) -> list[Answer]:
        world.provider.first = lambda: answer(canary)
        try:
            return [await placed(world, "tea-1")]
        finally:
            world.provider.first = None

    return Input(send)


def message(event: str, kinds: frozenset[str] = frozenset(KINDS)) -> Input:
    """Publish a message with the canary in it, and wait until the consumer is through with it."""

    async def send(world: World, canary: str) -> list[Answer]:
        envelope = {
            "specversion": "1.0",
            "id": str(uuid7()),
            "source": "/orders",
            "type": "order.placed",
            "subject": str(uuid4()),
            "time": "2026-01-01T00:00:00+00:00",
            "data": {},
        }
        filled = event.replace("CANARY", canary)
        content = json.dumps({**envelope, **json.loads(filled)}) if event.startswith("{") else filled
        seen = _outcomes(world)
        client = await nats.connect(world.service.addresses.broker_url)
        await client.jetstream().publish("events.order.canary", content.encode(), headers={"x-canary": canary})
        await client.close()
        await eventually(lambda: _outcomes(world) > seen)
        return []

    return Input(send, kinds)


def _outcomes(world: World) -> int:
    ends = ("inbox.message_malformed", "inbox.message_handled", "inbox.message_failed")
    return sum(len(world.service.worker.logged(end)) for end in ends)


# --- from the database ---


# A partitioned table has no unique index without its key; each of its parts may.
_IN_EACH_PARTITION = """
    DO $$ DECLARE part regclass; BEGIN
        FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'orders'::regclass LOOP
            EXECUTE format('{}', 'orders_sku_once_' || part::oid, part);
        END LOOP;
    END $$
"""


async def unique(world: World, canary: str) -> list[Answer]:
    """Break a unique index: PostgreSQL quotes the key."""
    world.sql(_IN_EACH_PARTITION.format("CREATE UNIQUE INDEX %s ON %s ((items->0->>''sku'')) WHERE currency = ''XTS''"))
    answers = [await placed(world, canary, "XTS"), await placed(world, canary, "XTS")]
    world.sql(_IN_EACH_PARTITION.format("DROP INDEX %s"))
    assert [answer.status for answer in answers] == [201, 500]
    return answers


async def check(world: World, canary: str) -> list[Answer]:
    """Break a check: PostgreSQL quotes the whole row."""
    world.sql("ALTER TABLE orders ADD CONSTRAINT orders_no_metal CHECK (currency <> 'XAU')")
    answer = await placed(world, canary, "XAU")
    world.sql("ALTER TABLE orders DROP CONSTRAINT orders_no_metal")
    assert answer.status == 500
    return [answer]


async def settlement(world: World, canary: str) -> list[Answer]:
    """Break a check in the worker, in the job that settles what the provider left open."""
    world.sql("ALTER TABLE orders ADD CONSTRAINT orders_never_placed CHECK (currency <> 'XAG' OR state = 'pending')")
    world.provider.first = lambda: PlainTextResponse("down", 503)
    answer = await placed(world, canary, "XAG")
    seen = len(world.service.worker.logged("worker.job_crashed"))
    await eventually(lambda: len(world.service.worker.logged("worker.job_crashed")) > seen)
    world.provider.first = None
    world.sql("DELETE FROM orders WHERE currency = 'XAG'")
    world.sql("ALTER TABLE orders DROP CONSTRAINT orders_never_placed")
    return [answer]


_HEADERS = (
    "x-request-id", "traceparent", "tracestate", "baggage", "b3", "content-type", "content-length", "user-agent",
    "accept", "accept-encoding", "accept-language", "idempotency-key", "cookie", "forwarded", "x-forwarded-for",
    "x-forwarded-host", "x-real-ip", "x-api-key", "proxy-authorization", "referer", "origin", "if-none-match", "range",
    "expect", "upgrade",
)  # fmt: skip
_TARGETS = (
    "/CANARY", "/v1/CANARY", "/v1/orders/CANARY", "/v1/orders?CANARY=1", "/v1/orders?cursor=CANARY",
    "/v1/orders?limit=CANARY", "/v1/orders?password=CANARY", "/v1/orders?limit=1#CANARY", "//CANARY/v1/orders",
    "http://CANARY/v1/orders", "/livez?CANARY", "/readyz/CANARY", "/metrics?name=CANARY", "/openapi.json?CANARY",
)  # fmt: skip
INPUTS: dict[str, Input] = {
    **{f"target {template}": target(template) for template in _TARGETS},
    "target of a POST": target("/v1/orders/CANARY/cancel", "POST"),
    "method": Input(lambda world, canary: _one(world.send(request(canary.replace(" ", "-"))))),
    **{f"header {name}": header(name) for name in _HEADERS},
    "header, its name": header("x-CANARY", "1"),
    "header tracestate of a trace": header("tracestate", "vendor=CANARY", TRACEPARENT),
    "header host": Input(host),
    "authorization": header("authorization"),
    "authorization, bearer": header("authorization", "Bearer CANARY"),
    "authorization, digest": header("authorization", 'Digest username="ann", response="CANARY"'),
    "authorization, basic": Input(basic),
    "token, its subject": claim(RECOGNISED, sub="CANARY"),
    "token, its tenant": claim(frozenset({"e-mail", "IBAN", "JWT", "password"}), tenant="CANARY"),
    "token, its scope": claim(scope="orders:read CANARY"),
    "token, its issuer": claim(iss="CANARY"),
    "token, its audience": claim(aud="CANARY"),
    "token, other claims": claim(email="CANARY", name="CANARY", jti="CANARY"),
    "field name": body('{"currency": "EUR", "items": [], "CANARY": 1}'),
    "field name, nested": order(CANARY=1),
    "currency": body(json.dumps({"currency": "CANARY", "items": [ITEM]})),
    "sku": order(sku="!CANARY"),
    "number": order(quantity="CANARY"),
    "item": body('{"currency": "EUR", "items": ["CANARY"]}'),
    "items": body('{"currency": "EUR", "items": {"CANARY": "CANARY"}}'),
    "text in place of an order": body('"CANARY"'),
    "not JSON": body("CANARY"),
    "JSON that was cut": body('{"currency": "CANARY'),
    "form": body("password=CANARY&currency=EUR", ("content-type", "application/x-www-form-urlencoded")),
    "body of another type": body('{"currency": "CANARY"}', ("content-type", "text/plain; name=CANARY")),
    "large body": Input(large),
    "article": Input(legitimate, CODES),
    "worker's HTTP": Input(worker),
    "provider: another status": provider(lambda canary: Response(json.dumps({"status": canary, canary: 1}), 201)),
    "provider: no JSON": provider(lambda canary: PlainTextResponse(f"<html>{canary}", 201)),
    "provider: an error": provider(lambda canary: PlainTextResponse(canary, 500, {"x-error": canary})),
    "provider: a refusal": provider(lambda canary: Response(json.dumps({"status": "refused", "why": canary}), 402)),
    "provider: a redirect": provider(lambda canary: RedirectResponse(f"http://ann:{canary}@127.0.0.1:1/{canary}")),
    "message: no JSON": message("CANARY"),
    "message: JSON that was cut": message('"CANARY'),
    "message: text": message('"CANARY"'),
    "message: wrong values": message('{"id": "CANARY", "time": "CANARY", "specversion": "CANARY", "data": "CANARY"}'),
    "message: its type": message('{"type": "CANARY"}'),
    "message: its tenant": message('{"tenant": "CANARY"}', frozenset(KINDS) - {"card"}),
    "message: its request id": message('{"requestid": "CANARY"}'),
    "message: its actor": message('{"actor": "CANARY"}', RECOGNISED),
    "message: its trace": message('{"traceparent": "CANARY", "tracestate": "a=CANARY"}'),
    "message: the rest": message('{"source": "CANARY", "CANARY": 1, "data": {"a": "CANARY"}}'),
    "SQL: a value twice": Input(unique, CODES),
    "SQL: a rule": Input(check, CODES),
    "SQL: a rule, in the worker": Input(settlement, CODES),
    # Last, and once: the handler fails, and the message stands before all later ones.
    "message: its subject": message('{"subject": "CANARY"}', frozenset({"e-mail"})),
}


async def _one(answer: Awaitable[Answer]) -> list[Answer]:
    return [await answer]
