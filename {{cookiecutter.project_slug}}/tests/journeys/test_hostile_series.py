"""Ten thousand requests, no two alike, and the process exposes the series of the first thousand."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from uuid import uuid4

import httpx
import pytest

from dev.token_issuer import TokenIssuer
from tests.journeys.conftest import NewService
from tests.support.metrics_page import series_per_process
from tests.support.raw_http import request
from tests.support.running_service import ORDER, READ_AND_WRITE

CONNECTIONS = 8
TENANTS = 300
MARK = "h0st1le"
"""Part of everything that the client chooses: paths, queries, methods, headers, tokens, bodies."""
JSON = ("content-type", "application/json")
# The parser knows more methods than the API. Those that it does not know end the connection, and get no further.
METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "PURGE", "SUBSCRIBE", "LOCK", "HEAD")

Kind = Callable[[int, str], bytes]


def unknown_path(n: int, token: str) -> bytes:
    """An address that has no route; every third one encoded."""
    target = (f"/{MARK}/{n}.php", f"/v1/orders/%2e%2e/{MARK}{n}", f"/v{n}/{MARK}?a={n}")[n % 3]
    return asked("GET", target, n, token)


def unknown_order(n: int, token: str) -> bytes:
    """An order that is not there, or whose id is none."""
    return asked("GET", f"/v1/orders/{uuid4() if n % 2 else f'{MARK}-{n}'}", n, token)


def bad_query(n: int, token: str) -> bytes:
    """Parameters nobody knows, and a cursor that nobody made."""
    return asked("GET", f"/v1/orders?cursor={MARK}{n}&{MARK}{n}={n}", n, token)


def odd_method(n: int, token: str) -> bytes:
    """A method without a route, on a path that has one or on a new one."""
    return asked(METHODS[n % len(METHODS)], f"/v1/orders{f'/{MARK}{n}' if n % 2 else ''}", n, token)


def forged_token(n: int, _token: str) -> bytes:
    """A token of somebody else, or no token at all."""
    return asked("GET", "/v1/orders", n, f"{MARK}.{n}.{MARK}")


def bad_body(n: int, token: str) -> bytes:
    """A body with fields of the client's invention, or no JSON."""
    body = json.dumps({"currency": f"{MARK}{n}", f"{MARK}{n}": n}) if n % 2 else f"{MARK}{n}"
    return asked("POST", "/v1/orders", n, token, body=body)


def good_list(n: int, token: str) -> bytes:
    """What a customer does all day, as one of many tenants."""
    return asked("GET", "/v1/orders", n, token)


def good_order(n: int, token: str) -> bytes:
    """An order whose goods are named by the client."""
    items = [{"sku": f"{MARK}-{n}", "quantity": 1, "unit_price_minor": 100}]
    return asked("POST", "/v1/orders", n, token, body=json.dumps({**ORDER, "items": items}))


SHARES: Mapping[Kind, int] = {
    unknown_path: 25,
    unknown_order: 10,
    bad_query: 10,
    odd_method: 25,
    forged_token: 10,
    bad_body: 10,
    good_list: 8,
    good_order: 2,
}
"""In percent."""


def asked(method: str, target: str, n: int, token: str, *, body: str = "") -> bytes:
    """Return a request that keeps its connection, with headers of its own."""
    headers = [
        JSON,
        ("authorization", f"Bearer {token}"),
        ("user-agent", f"{MARK}/{n}"),
        ("x-request-id", f"{MARK}-{n}"),
        ("x-forwarded-for", f"{MARK}.{n}"),
        (f"x-{MARK}-{n}", str(n)),
        ("traceparent", f"00-{n + 1:032x}-{n + 1:016x}-{n % 2:02x}"),
        ("tracestate", f"{MARK}={n}"),
    ]
    raw = request(method, target, headers=headers, body=body.encode())
    return raw.replace(b"host: service\r\nconnection: close", f"host: {MARK}-{n}".encode())


async def send(port: int, requests: Sequence[bytes]) -> Counter[int]:
    """Send requests over several connections, each waiting for its answers, and return the statuses."""
    statuses: Counter[int] = Counter()
    async with asyncio.TaskGroup() as tasks:
        for connection in range(CONNECTIONS):
            tasks.create_task(_converse(port, requests[connection::CONNECTIONS], statuses))
    return statuses


async def _converse(port: int, requests: Sequence[bytes], statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for raw in requests:
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        statuses[int(head.split(b" ", 2)[1])] += 1
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if length and not raw.startswith(b"HEAD "):
            await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()


async def series(url: str) -> dict[str, float]:
    """Return each series that the process exposes, by its name and labels."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}


@pytest.fixture(scope="module")
def tokens(token_issuer: TokenIssuer) -> list[str]:
    """Good tokens of many tenants, whose names are chosen to end up somewhere."""
    names = [f"{MARK}-tenant-{number}" for number in range(TENANTS)]
    return [token_issuer.mint(tenant=name, actor=f"{name}-actor", scope=READ_AND_WRITE) for name in names]


async def test_ten_thousand_hostile_requests_add_no_series(new_service: NewService, tokens: list[str]) -> None:
    """Series stay under the declared cap, none is new after the first 1 000, and no label has the client's words."""
    service = new_service(APP_TRACING__RATIO="0.1", APP_LOGGING__LEVEL="error")
    await service.start("serve")
    chance = Random(7)  # noqa: S311 - the same requests in each run
    kinds = chance.choices(list(SHARES), list(SHARES.values()), k=10_000)
    hostile = [kind(n, tokens[n % TENANTS]) for n, kind in enumerate(kinds)]

    begun = await send(service.addresses.http_port, hostile[:1_000])
    early = await series(service.url)
    rest = await send(service.addresses.http_port, hostile[1_000:])
    late = await series(service.url)

    assert (begun + rest).total() == 10_000
    assert {200, 201, 400, 401, 404, 405, 422} == set(begun + rest)
    assert late.keys() - early.keys() == set()
    assert len(late) <= series_per_process()
    assert [one for one in late if MARK in one.lower()] == []
    assert [one for one, value in late.items() if one.startswith("metric_label_overflow_total") and value] == []
    assert service.serve.process.running
