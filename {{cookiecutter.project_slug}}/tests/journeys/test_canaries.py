"""Canaries - cards, tokens, addresses, passwords - go in everywhere, and come out nowhere but where they belong.

Every input is tried with every kind of secret, each with a number of its own. What was heard is then searched: all
lines of both processes, all exported spans as they went over the wire, both pages of metrics, all answers that are
errors.
"""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from dev.postgres import PostgreSQL
from tests.journeys.conftest import NewService
from tests.support.canaries import KINDS, World, found, listening
from tests.support.canary_inputs import INPUTS
from tests.support.eventually import eventually
from tests.support.raw_http import Answer

CHANNELS = ("logs", "spans", "metrics", "errors")
LAST_WORDS = ("orders_sku_once", "orders_no_metal", "orders_never_placed")
"""Names of what the failing statements broke."""


@pytest.fixture(scope="module")
def world(new_service: NewService, postgres: PostgreSQL) -> Iterator[World]:
    """Yield a world in which everything has been sent, and which is over."""
    with listening() as (collector, exports_url, provider, provider_url):
        service = new_service(
            APP_PAYMENTS__URL=provider_url,
            APP_TRACING__OTLP_ENDPOINT=exports_url,
            APP_ORDERS__SETTLE_AFTER_SECONDS="0.3",
        )
        world = World(service, postgres, provider, collector)
        asyncio.run(_live(world))
        yield world


async def _live(world: World) -> None:
    await world.service.start("serve", "worker")
    for number, (name, way_in) in enumerate(INPUTS.items()):
        for kind in sorted(way_in.kinds):
            canary = KINDS[kind](100 * number + list(KINDS).index(kind))
            world.canaries.setdefault(name, []).append(canary)
            world.answers.setdefault(name, []).extend(await way_in.send(world, canary))
    await eventually(lambda: world.sql("SELECT count(*) FROM orders WHERE state = 'pending'") == "0")
    async with httpx.AsyncClient() as client:
        pages = [await client.get(f"{url}/metrics") for url in (world.service.url, world.service.worker_url)]
    codes = [process.terminate() for process in (world.service.serve, world.service.worker)]
    assert codes == [0, 0]
    answers = [answer for sent in world.answers.values() for answer in sent]
    world.heard = {
        "logs": "\n".join(world.service.serve.lines + world.service.worker.lines),
        "spans": world.collector.text,
        "metrics": "\n".join(page.text for page in pages),
        "errors": "\n".join(_as_text(answer) for answer in answers if answer.status >= httpx.codes.BAD_REQUEST),
    }


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_what_went_in_there_does_not_come_out_here(world: World, name: str, channel: str) -> None:
    """No canary of this input is in this channel, in any form."""
    assert [canary for canary in world.canaries[name] if found(canary, world.heard[channel])] == []


def test_every_request_left_its_line_and_its_span(world: World) -> None:
    """The channels were open: each request that has an id is in the log, and there are as many spans of the server."""
    answers = [answer for sent in world.answers.values() for answer in sent]
    ids = [answer.header("x-request-id") for answer in answers if answer.header("x-request-id")]
    lines = [line["request_id"] for line in world.service.serve.logged("http.request")]

    assert len(ids) > 300
    assert set(ids) - set(lines) == set()
    assert world.heard["spans"].count("http.response.status_code") >= len(ids)
    assert world.heard["metrics"].count("http_server_request_duration_seconds_bucket") > 10


@pytest.mark.parametrize("name", LAST_WORDS)
def test_a_failing_statement_is_told_by_the_name_of_what_it_broke(world: World, name: str) -> None:
    """Without the values, the log still says which rule of the database was broken."""
    assert name in world.heard["logs"]


def test_what_belongs_there_is_there(world: World) -> None:
    """The article of an order comes back to whoever placed it: canaries can be found where they are."""
    answers = [_as_text(answer) for answer in world.answers["article"]]

    assert [found(canary, text) for canary, text in zip(world.canaries["article"], answers, strict=True)] == [True] * 5


def _as_text(answer: Answer) -> str:
    return "\n".join([*(f"{name}: {value}" for name, value in answer.headers), answer.body.decode("latin-1")])
