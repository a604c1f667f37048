"""Customers over a socket: a process of the service, a real database, a token."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dev.environment import Addresses
from dev.token_issuer import TokenIssuer
from tests.support.service_process import ServiceProcess


@pytest.fixture
async def url(start_app: Callable[..., ServiceProcess], addresses: Addresses) -> str:
    """Return the address of a service that is ready."""
    url = f"http://127.0.0.1:{addresses.http_port}"
    await start_app("serve").wait_until_ready(f"{url}/readyz", within_seconds=60)
    return url


async def test_a_registered_customer_can_be_read_and_is_announced(
    url: str, token_issuer: TokenIssuer, engine: AsyncEngine
) -> None:
    """The happy path, what strangers see, and the event that was written with the customer."""
    token = token_issuer.mint(tenant="acme", scope="customers:read customers:write")
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        registered = await client.post("/v1/customers", json={"name": "Ada"})
        shown = await client.get(registered.headers["Location"])
        missing = await client.get(f"/v1/customers/{uuid4()}")
        unnamed = await client.post("/v1/customers", json={"name": ""})

    assert (registered.status_code, shown.status_code) == (201, 200)
    assert shown.json() == registered.json() == {"id": registered.json()["id"], "name": "Ada"}
    assert (missing.status_code, missing.json()["code"]) == (404, "customer_not_found")
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "invalid_request")
    async with engine.connect() as connection:
        events = (await connection.execute(text("SELECT type, envelope->>'subject' FROM outbox"))).all()
    assert [tuple(event) for event in events] == [("customer.registered", registered.json()["id"])]
