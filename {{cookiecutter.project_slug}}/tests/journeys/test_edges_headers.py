"""Hostile headers, tokens, methods and bytes that are hardly HTTP: refused or tamed, and the metrics stay small."""

import json
import re
from typing import Any

import pytest

from app.kit.ids import random_hex
from dev.postgres import PostgreSQL
from dev.token_issuer import SigningKey, TokenIssuer
from tests.support.raw_http import exchange, request
from tests.support.running_service import ORDER, READ_AND_WRITE, RunningService, request_lines

BODY = json.dumps(ORDER).encode()
JSON = ("content-type", "application/json")
WELL_FORMED_ID = re.compile(r"[0-9a-f]{32}")
SQL = "'; DROP TABLE orders; --"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


REQUEST_IDS = {
    "10 kB": "x" * 10_000,
    "33 digits": "a" * 33,
    "card": "4111111111111111",
    "words": "Order-7_retry.2",
    "blank": " ",
    "with a space": "a b",
    "markup": "<script>",
    "log forgery": '","level":"critical',
    "not ASCII": "é".encode("latin-1"),
    "tab": b"a\tb",
}


@pytest.mark.parametrize("request_id", REQUEST_IDS.values(), ids=REQUEST_IDS)
async def test_bad_request_id_is_replaced(api: RunningService, request_id: str | bytes) -> None:
    """An id that is not well-formed comes back as another one, and nothing of it is in the log line."""
    answer = await exchange(api.addresses.http_port, request(headers=[("x-request-id", request_id), authorized(api)]))

    (line,) = await request_lines(api.serve, answer.header("x-request-id"))
    assert (answer.status, line["level"]) == (200, "info")
    assert WELL_FORMED_ID.fullmatch(answer.header("x-request-id"))


async def test_second_request_id_is_ignored(api: RunningService) -> None:
    """Of two ids the first counts, everywhere: response and log agree."""
    first, second = random_hex(), random_hex()
    headers = [("x-request-id", first), ("x-request-id", second), authorized(api)]

    answer = await exchange(api.addresses.http_port, request(headers=headers))

    (line,) = await request_lines(api.serve, first)
    assert answer.header("x-request-id") == line["request_id"] == first


TRACEPARENTS = {
    "nonsense": "nonsense",
    "zero trace id": f"00-{'0' * 32}-00f067aa0ba902b7-01",
    "zero span id": f"00-{TRACE}-{'0' * 16}-01",
    "upper case": f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    "version ff": f"ff-{TRACE}-00f067aa0ba902b7-01",
    "too long": f"00-{TRACE}-00f067aa0ba902b7-01-more",
    "10 kB": f"00-{TRACE}-00f067aa0ba902b7-01" * 200,
    "not ASCII": f"00-{TRACE}-00f067aa0ba902b7-é".encode("latin-1"),
    "other digits": f"00-{TRACE[:-1]}٣-00f067aa0ba902b7-01",
}


@pytest.mark.parametrize("traceparent", TRACEPARENTS.values(), ids=TRACEPARENTS)
async def test_bad_traceparent_starts_a_new_trace(api: RunningService, traceparent: str | bytes) -> None:
    """A header that breaks W3C Trace Context is ignored: the request runs, under a trace of its own."""
    headers = [("traceparent", traceparent), ("tracestate", "a=" + "b" * 600), authorized(api)]

    answer = await exchange(api.addresses.http_port, request(headers=headers))

    (line,) = await request_lines(api.serve, answer.header("x-request-id"))
    span = await api.spans.span("GET /v1/orders", trace_id=line["trace_id"])
    assert answer.status == 200
    assert (line["trace_id"] == TRACE, span.parent_id) == (False, "")


def tokens(issuer: TokenIssuer) -> dict[str, list[tuple[str, str]]]:
    """Return headers that do not let anybody in."""
    stranger = TokenIssuer(SigningKey.generate(), audience=issuer.audience)
    good = issuer.mint(scope=READ_AND_WRITE)
    header, payload, signature = good.split(".")
    values = {
        "no scheme": good,
        "basic": "Basic dXNlcjpwYXNz",
        "empty": "Bearer ",
        "not a token": "Bearer nonsense",
        "cut off": f"Bearer {good[:-10]}",
        "unsigned": f"Bearer {header}.{payload}.",
        "another's signature": f"Bearer {stranger.mint(scope=READ_AND_WRITE)}",
        "expired": f"Bearer {issuer.mint(scope=READ_AND_WRITE, expires_in_seconds=-60)}",
        "for another service": f"Bearer {issuer.mint(scope=READ_AND_WRITE, claims={'aud': 'another'})}",
        "without tenant": f"Bearer {issuer.mint(scope=READ_AND_WRITE, claims={'tenant': None})}",
        "tenant with SQL": f"Bearer {issuer.mint(tenant=SQL, scope=READ_AND_WRITE)}",
        "8 kB": "Bearer " + "x" * 8_300,
        "swapped parts": f"Bearer {payload}.{header}.{signature}",
    }
    headers = {name: [("authorization", value)] for name, value in values.items()}
    return {"missing": [], "twice": [("authorization", f"Bearer {good}")] * 2, **headers}


TOKEN_CASES = tuple(tokens(TokenIssuer(SigningKey.generate(), audience="any")))


@pytest.mark.parametrize("case", TOKEN_CASES)
async def test_nobody_gets_in_without_a_good_token(
    api: RunningService, postgres: PostgreSQL, token_issuer: TokenIssuer, case: str
) -> None:
    """Whatever is wrong with the token: 401, how to authenticate, nothing written, the token not repeated."""
    headers = tokens(token_issuer)[case]
    before = postgres.execute("SELECT count(*) FROM orders", database=api.database)

    raw = request("POST", headers=[JSON, *headers], body=BODY)
    answer = await exchange(api.addresses.http_port, raw)

    (line,) = await request_lines(api.serve, answer.header("x-request-id"))
    assert (answer.status, answer.json()["code"], line["status"]) == (401, "unauthenticated", 401)
    assert answer.header("www-authenticate").startswith("Bearer")
    assert [value for _, value in headers if value[7:] and value[7:] in answer.body.decode() + json.dumps(line)] == []
    assert line["tenant"] is None
    assert postgres.execute("SELECT count(*) FROM orders", database=api.database) == before


@pytest.mark.parametrize(
    ("method", "target", "scope", "missing"),
    [
        ("POST", "/v1/orders", "orders:read", "orders:write"),
        ("GET", "/v1/orders", "orders:write", "orders:read"),
        ("GET", "/v1/orders", "", "orders:read"),
        ("GET", "/v1/orders", "orders:readwrite xorders:read ORDERS:READ", "orders:read"),
    ],
    ids=["read only", "write only", "none", "lookalikes"],
)
async def test_token_without_the_scope_is_refused(
    api: RunningService, method: str, target: str, scope: str, missing: str
) -> None:
    """A good token that allows too little is 403, and says which scope it lacks."""
    headers = [JSON, ("authorization", f"Bearer {api.token(scope=scope)}")]

    answer = await exchange(api.addresses.http_port, request(method, target, headers=headers, body=BODY))

    assert (answer.status, answer.json()["code"]) == (403, "insufficient_scope")
    assert missing in answer.json()["detail"]


NOT_HTTP = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    "no version": b"GET /v1/orders\r\n\r\n",
    "HTTP/9.9": b"GET /v1/orders HTTP/9.9\r\nhost: a\r\n\r\n",
    "NUL in the path": request(target="/v1/\0orders"),
    "NUL in the query": request(target="/v1/orders?cursor=\0"),
    "NUL in a header": request(headers=[("x-request-id", "a\0b")]),
    "DEL in a header": request(headers=[("x-request-id", "a\x7fb")]),
    "NUL in a header's name": b"GET / HTTP/1.1\r\nhost: a\r\na\0b: c\r\n\r\n",
    "bare CR in a header": request(headers=[("x-request-id", b"a\rset-cookie: a=b")]),
    "space before the colon": b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    "method in lower case letters and NUL": b"g\0t / HTTP/1.1\r\nhost: a\r\n\r\n",
    "two lengths": request("POST", headers=[("content-length", "5"), ("content-length", "50")], body=b"GET /"),
    "length and chunks": request(
        "POST", headers=[("content-length", "5"), ("transfer-encoding", "chunked")], body=b"0\r\n\r\nGET /admin"
    ),
    "negative length": request("POST", headers=[("content-length", "-1")], body=b"{}"),
    "length as text": request("POST", headers=[("content-length", "many")], body=b"{}"),
    "length over 64 bits": request("POST", headers=[("content-length", "9" * 30)], body=b"{}"),
    "chunk size as text": request("POST", headers=[("transfer-encoding", "chunked")], body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "1 MB of headers": request(headers=[(f"x-{number}", "x" * 1_000) for number in range(1_000)]),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("raw", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_is_refused_by_the_parser(api: RunningService, raw: bytes) -> None:
    """Bytes that break HTTP, or could mean two things to two servers, end in a 4xx and a closed connection."""
    answer = await exchange(api.addresses.http_port, raw)

    assert 400 <= answer.status < 500
    assert "set-cookie" not in dict(answer.headers)
    assert b"Traceback" not in answer.body
    assert api.serve.process.running


async def test_header_injection_finds_no_header_to_break(api: RunningService) -> None:
    """Line breaks, encoded into everything that might be echoed, come back in no header."""
    evil = "%0d%0aset-cookie:%20a=b"
    headers = [("x-request-id", evil), authorized(api)]

    answers = [
        await exchange(api.addresses.http_port, request(target=f"/v1/orders{place}{evil}", headers=headers))
        for place in ("/", "?cursor=")
    ]

    assert [answer.status for answer in answers] == [422, 422]
    assert [dict(answer.headers).get("set-cookie") for answer in answers] == [None, None]


async def test_invented_routes_and_methods_add_no_series(api: RunningService) -> None:
    """However many paths and methods clients invent, metrics gain one series, and the log no text of theirs."""
    for number in range(20):
        await exchange(api.addresses.http_port, request(target=f"/v1/invented-{number}", headers=[authorized(api)]))
    before = await labels(api)
    for number in range(20):
        answer = await exchange(api.addresses.http_port, request(target=f"/v1/also-{number}"))
        (line,) = await request_lines(api.serve, answer.header("x-request-id"))
        assert (answer.status, line["route"]) == (404, "unmatched")
    for method in ("PURGE", "PROPFIND", "MKCOL", "LOCK", "NOTIFY", "SUBSCRIBE"):
        answer = await exchange(api.addresses.http_port, request(method, headers=[authorized(api)]))
        (line,) = await request_lines(api.serve, answer.header("x-request-id"))
        assert (answer.status, answer.json()["code"], line["method"]) == (405, "method_not_allowed", "_OTHER")

    added = await labels(api) - before

    assert {dict(one)["http_request_method"] for one in added} <= {"_OTHER"}
    assert len(added) == 1
    assert not re.search(r"invented|also-|PURGE|MKCOL", json.dumps(api.serve.logs))


async def labels(api: RunningService) -> set[frozenset[tuple[str, Any]]]:
    """Return the label sets of the request histogram."""
    name = "http_server_request_duration_seconds_count"
    return {frozenset(sample.labels.items()) for sample in await api.samples() if sample.name == name}


def authorized(api: RunningService) -> tuple[str, str]:
    """Return the header that lets one in."""
    return "authorization", f"Bearer {api.token()}"
