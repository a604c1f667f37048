"""Hostile requests over a bare socket: each is refused with a problem, in one line of log, and leaves no trace."""

import json

import pytest

from dev.postgres import PostgreSQL
from tests.support.raw_http import Answer, chunked, exchange, request
from tests.support.running_service import ORDER, RunningService, request_lines

MEBIBYTE = 1_048_576
SECRET = "canary-7c1d"
"""Part of every hostile value: it must not come back."""
ITEM = {"sku": "tea-1", "quantity": 2, "unit_price_minor": 1250}
GONE = "/v1/orders/019f0000-0000-7000-8000-000000000000"


def order(**changes: object) -> bytes:
    """Return the body of an order with other values in it."""
    return json.dumps({**ORDER, **changes}).encode()


def item(**changes: object) -> bytes:
    """Return the body of an order with other values in its only item."""
    return order(items=[{**ITEM, **changes}])


BODIES = {
    "nothing": (b"", 422, "invalid_request"),
    "not JSON": (b"{" + SECRET.encode(), 400, "malformed_request"),
    "two documents": (order() + order(), 400, "malformed_request"),
    "invalid UTF-8": (b'{"currency": "\xff\xfe"}', 400, "malformed_request"),
    "lone surrogate": (order(currency="EUR").replace(b"EUR", rb"\ud800"), 422, "invalid_request"),
    "NUL byte": (b"\0" * 100, 400, "malformed_request"),
    "NUL inside a value": (item(sku=f"{SECRET}\0"), 422, "invalid_request"),
    "NUL inside a name": (order(**{"a\0b": 1}), 422, "invalid_request"),
    "nested arrays": (b"[" * 200_000, 400, "malformed_request"),
    "nested objects": (b'{"a":' * 100_000, 400, "malformed_request"),
    "nested and closed": (b"[" * 50_000 + b"]" * 50_000, 400, "malformed_request"),
    "nested in a field": (b'{"currency": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "malformed_request"),
    "a list": (b"[]", 422, "invalid_request"),
    "null": (b"null", 422, "invalid_request"),
    "a string": (json.dumps(SECRET).encode(), 422, "invalid_request"),
    "unknown field": (order(discount=SECRET), 422, "invalid_request"),
    "unknown field of 1 MB": (order(**{"x" * 1_000_000: 1}), 422, "invalid_request"),
    "unknown field with a lone surrogate": (order().replace(b'"currency"', rb'"\ud800"'), 422, "invalid_request"),
    "unknown field of an item": (item(discount=SECRET), 422, "invalid_request"),
    "prototype pollution": (order(__proto__={"a": 1}), 422, "invalid_request"),
    "no items": (order(items=[]), 422, "invalid_request"),
    "101 items": (order(items=[ITEM] * 101), 422, "invalid_request"),
    "10 000 mistakes": (order(items=[{}] * 10_000), 422, "invalid_request"),
    "items as an object": (order(items={"0": ITEM}), 422, "invalid_request"),
    "negative price": (item(unit_price_minor=-1), 422, "invalid_request"),
    "price of nothing": (item(unit_price_minor=0), 422, "invalid_request"),
    "price over the limit": (item(unit_price_minor=1_000_000_001), 422, "invalid_request"),
    "price over 64 bits": (item(unit_price_minor=2**63), 422, "invalid_request"),
    "price of 5 000 digits": (item(unit_price_minor=7).replace(b": 7", b": " + b"9" * 5_000), 400, "malformed_request"),
    "price as a float": (item(unit_price_minor=12.5), 422, "invalid_request"),
    "price as a whole float over the limit": (item(unit_price_minor=1e300), 422, "invalid_request"),
    "price as 1e400": (item(unit_price_minor=7).replace(b": 7", b": 1e400"), 422, "invalid_request"),
    "price as NaN": (item(unit_price_minor=float("nan")), 422, "invalid_request"),
    "price as a string": (item(unit_price_minor="1250"), 422, "invalid_request"),
    "price as a boolean": (item(unit_price_minor=True), 422, "invalid_request"),
    "quantity overflow": (item(quantity=2**31), 422, "invalid_request"),
    "sku with a newline": (item(sku="tea\n"), 422, "invalid_request"),
    "sku as markup": (item(sku=f"<script>{SECRET}"), 422, "invalid_request"),
    "sku as SQL": (item(sku="x'; DROP TABLE orders; --"), 422, "invalid_request"),
    "huge sku": (item(sku="x" * 100_000), 422, "invalid_request"),
    "currency in lower case": (order(currency="eur"), 422, "invalid_request"),
    "currency in other letters": (order(currency="ＥＵＲ"), 422, "invalid_request"),  # noqa: RUF001 - the example
}
JSON = ("content-type", "application/json")
REQUESTS = {
    "over 1 MiB": (
        request("POST", headers=[JSON], body=b" " * (MEBIBYTE + 1)), 413, "body_too_large"
    ),
    "over 1 MiB, chunked": (
        request("POST", headers=[JSON, ("transfer-encoding", "chunked")], body=chunked(b" " * (MEBIBYTE + 1))),
        413, "body_too_large",
    ),
    "1 TiB announced": (
        request("POST", headers=[JSON, ("content-length", str(2**40))], body=b"{"), 413, "body_too_large"
    ),
    "1 MiB of blanks": (request("POST", headers=[JSON], body=b" " * MEBIBYTE), 400, "malformed_request"),
    "form": (
        request("POST", headers=[("content-type", "application/x-www-form-urlencoded")], body=b"currency=EUR"),
        422, "invalid_request",
    ),
    "JSON under another name": (
        request("POST", headers=[("content-type", "text/plain")], body=order()), 422, "invalid_request"
    ),
    "content type of 10 kB": (
        request("POST", headers=[("content-type", "application/" + "x" * 10_000)], body=order()),
        422, "invalid_request",
    ),
    "id that is none": (request(target=f"/v1/orders/{SECRET}"), 422, "invalid_request"),
    "id with an encoded NUL": (request(target="/v1/orders/%00"), 422, "invalid_request"),
    "id with a path inside": (request(target="/v1/orders/..%2f..%2fetc%2fpasswd"), 404, "route_not_found"),
    "id in invalid UTF-8": (request(target="/v1/orders/%ff%fe"), 422, "invalid_request"),
    "id of nobody": (request(target=GONE), 404, "order_not_found"),
    "limit of nothing": (request(target="/v1/orders?limit=0"), 422, "invalid_request"),
    "limit too large": (request(target="/v1/orders?limit=101"), 422, "invalid_request"),
    "limit as text": (request(target=f"/v1/orders?limit={SECRET}"), 422, "invalid_request"),
    "limit of 5 000 digits": (request(target="/v1/orders?limit=" + "9" * 5_000), 422, "invalid_request"),
    "empty cursor": (request(target="/v1/orders?cursor="), 422, "invalid_cursor"),
    "cursor of nonsense": (request(target=f"/v1/orders?cursor={SECRET}"), 422, "invalid_cursor"),
    "cursor too short": (request(target="/v1/orders?cursor=AAAA"), 422, "invalid_cursor"),
    "cursor too long": (request(target="/v1/orders?cursor=" + "A" * 8_000), 422, "invalid_cursor"),
    "cursor with a NUL": (request(target="/v1/orders?cursor=%00"), 422, "invalid_cursor"),
    "cursor in other letters": (request(target="/v1/orders?cursor=%C3%A9"), 422, "invalid_cursor"),
    "cursor in invalid UTF-8": (request(target="/v1/orders?cursor=%ff"), 422, "invalid_cursor"),
    "unknown route": (request(target=f"/v1/{SECRET}"), 404, "route_not_found"),
    "no version": (request(target="/orders"), 404, "route_not_found"),
    "encoded NUL as the path": (request(target="/%00"), 404, "route_not_found"),
    "path of 8 kB": (request(target="/" + "x" * 8_000), 404, "route_not_found"),
    "known route, wrong method": (request("DELETE", headers=[JSON]), 405, "method_not_allowed"),
    "TRACE": (request("TRACE"), 405, "method_not_allowed"),
    "asterisk": (request("OPTIONS", target="*"), 404, "route_not_found"),
    "cancel with nonsense": (request("POST", f"/v1/orders/{SECRET}/cancel"), 422, "invalid_request"),
    "HEAD": (request("HEAD"), 405, ""),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code"), BODIES.values(), ids=BODIES)
async def test_hostile_body_is_refused(
    api: RunningService, postgres: PostgreSQL, body: bytes, status: int, code: str
) -> None:
    """No body that breaks the description is taken, crashes anything, or is repeated in the answer."""
    raw = request("POST", headers=[JSON], body=body)

    await check_refused(api, postgres, raw, status, code)


@pytest.mark.parametrize(("raw", "status", "code"), REQUESTS.values(), ids=REQUESTS)
async def test_hostile_request_is_refused(
    api: RunningService, postgres: PostgreSQL, raw: bytes, status: int, code: str
) -> None:
    """The same for sizes, content types, paths, queries and methods."""
    await check_refused(api, postgres, raw, status, code)


async def check_refused(api: RunningService, postgres: PostgreSQL, raw: bytes, status: int, code: str) -> None:
    """Send `raw` with a good token and check what every refusal has in common."""
    pid, orders = api.serve.process.pid, count_orders(api, postgres)
    head, _, body = raw.partition(b"\r\n")

    token = b"\r\nauthorization: Bearer %b\r\n" % api.token().encode()
    answer = await exchange(api.addresses.http_port, head + token + body)

    (line,) = await request_lines(api.serve, answer.header("x-request-id"))
    assert (answer.status, line["status"], line.get("error_code")) == (status, status, code or line.get("error_code"))
    check_problem(answer, code)
    assert "exception" not in line
    assert SECRET not in json.dumps(line)
    assert count_orders(api, postgres) == orders
    assert (api.serve.process.running, api.serve.process.pid) == (True, pid)


def check_problem(answer: Answer, code: str) -> None:
    """Check that the answer is a problem document which repeats nothing and tells no internals."""
    if code:
        assert answer.header("content-type") == "application/problem+json"
        assert answer.json().keys() >= {"type", "title", "status", "detail", "code", "request_id"}
        assert (answer.json()["code"], answer.json()["status"]) == (code, answer.status)
    assert len(answer.body) < 10_000
    assert SECRET.encode() not in answer.body
    assert b"Traceback" not in answer.body


def count_orders(api: RunningService, postgres: PostgreSQL) -> int:
    """Return how many orders the database holds, of whatever tenant."""
    return int(postgres.execute("SELECT count(*) FROM orders", database=api.database))
