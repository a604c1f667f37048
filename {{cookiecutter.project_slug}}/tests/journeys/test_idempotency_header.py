"""The header Idempotency-Key as clients read about it, and as no decent client would send it."""

from uuid import uuid4

import httpx
import pytest

from dev.environment import ROOT
from tests.journeys.conftest import NewService
from tests.support.curl import commands_in
from tests.support.raw_http import exchange, request
from tests.support.running_service import RunningService


@pytest.fixture
def tenant() -> str:
    """Return a tenant that no other test has heard of."""
    return f"tenant-{uuid4().hex[:8]}"


async def test_the_command_of_the_page_makes_one_order(service: RunningService, tenant: str) -> None:
    """Run twice, it is answered twice with the same, and the second answer says so."""
    (command,) = commands_in((ROOT / "docs" / "idempotency.md").read_text())
    url = command.url.replace("localhost:8000", service.url)
    headers = {name: value.replace("$TOKEN", service.token(tenant=tenant)) for name, value in command.headers.items()}
    async with httpx.AsyncClient(headers=headers) as client:
        first, again = [await client.post(url, content=command.body) for _ in range(2)]

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert ["idempotent-replayed" in answer.headers for answer in (first, again)] == [False, True]


HOSTILE = {
    "empty": [b""],
    "empty quotes": [b'""'],
    "twice": [b"xyz", b"xyz"],
    "joined by a proxy": [b"xyz, xyz"],
    "parameters": [b'"xyz";a=1'],
    "256 characters": [b"k" * 256],
    "8 000 characters": [b"k" * 8_000],
    "tab": [b"a\tb"],
    "UTF-8": ["schlüssel".encode()],
    "Latin-1": ["schlüssel".encode("latin-1")],
    "emoji": ["\N{KEY}".encode()],
}


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("target", ["/v1/orders", "/v1/orders/019f0000-0000-7000-8000-000000000000/cancel"])
async def test_a_hostile_key_is_a_400(service: RunningService, tenant: str, target: str, values: list[bytes]) -> None:
    """On every route that takes a key, as a problem that repeats nothing of it, and nothing is done."""
    token = ("authorization", f"Bearer {service.token(tenant=tenant)}")
    keys = [("idempotency-key", value) for value in values]
    json = ("content-type", "application/json")
    raw = request("POST", target, headers=[token, json, *keys], body=b"{}")

    answer = await exchange(service.addresses.http_port, raw)

    async with service.client(tenant=tenant) as client:
        listed = (await client.get("/v1/orders")).json()["orders"]
    assert listed == []
    assert (answer.status, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert answer.header("content-type") == "application/problem+json"
    assert not [value for value in values if len(value) > 2 and value in answer.body]


@pytest.mark.parametrize("value", [b"a\x00b", b"a\x01b", b"a\x7fb"], ids=["NUL", "control", "delete"])
async def test_a_control_character_ends_at_the_parser(service: RunningService, value: bytes) -> None:
    """Or, where the parser lets it pass, at the key's own rules: 400 in any case."""
    token = ("authorization", f"Bearer {service.token()}")
    raw = request("POST", headers=[token, ("idempotency-key", value)], body=b"{}")

    assert (await exchange(service.addresses.http_port, raw)).status == 400


async def test_the_description_says_how_long_a_key_is_good(new_service: NewService) -> None:
    """What the operator has set is what clients read, beside the header on both routes."""
    service = new_service(APP_IDEMPOTENCY__KEEP_HOURS="36")
    await service.start("serve")
    async with service.client() as client:
        description = (await client.get("/openapi.json")).json()

    offered = [
        path
        for path, operations in description["paths"].items()
        for parameter in operations.get("post", {}).get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    ]
    assert "kept for 36 hours" in description["info"]["description"]
    assert offered == ["/v1/orders", "/v1/orders/{order_id}/cancel"]
