"""Flags of a real Unleash in real processes: switched, released to some, and with the server hanging, dead and gone."""

import asyncio
import hashlib
import json
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

from app.kit.context import Context, bind
from app.orders import flags
from app.patterns.feature_flags import Experiment, FeatureFlags, FeatureFlagSettings, ReleaseFlag, running
from dev.flag_server import feature
from dev.postgres import PostgreSQL
from dev.unleash import Unleash
from tests.journeys.conftest import NewService
from tests.support.eventually import eventually
from tests.support.running_service import ORDER, RunningService, request_lines
from tests.support.unleash import running_unleash

SWITCH, RELEASE = flags.NEW_ORDERS_STOPPED.name, flags.PAID_IN_BACKGROUND.name
LATER = date(2100, 1, 1)
HALF = ReleaseFlag(name="journey-half", owner="service", purpose="Half of them.", expires=LATER)
COLOUR = Experiment(
    name="journey-colour", owner="service", purpose="Colours.", variants=("red", "blue"), default="red", expires=LATER
)
FOREVER = {"APP_FEATURE_FLAGS__TIMEOUT_SECONDS": "3600", "APP_FEATURE_FLAGS__POLL_SECONDS": "3600"}


@pytest.fixture(scope="module")
def server(postgres: PostgreSQL) -> Iterator[Unleash]:
    """Yield a server that knows the flags of orders: the switch off, the other one on for one tenant."""
    with running_unleash(postgres) as unleash:
        asyncio.run(_furnish(unleash))
        yield unleash


@pytest.fixture
async def unleash(server: Unleash) -> Unleash:
    """Return that server, which runs."""
    if not server.process.running:
        await server.start()
    return server


async def _furnish(unleash: Unleash) -> None:
    await unleash.create(SWITCH)
    await unleash.throw(SWITCH, on=False)
    await unleash.create(RELEASE, _rollout(100, constraints=[_for("first")]))


def _for(*tenants: str) -> dict[str, object]:
    return {"contextName": "tenant", "operator": "IN", "values": tenants}


def _rollout(percent: int, *, variants: tuple[str, ...] = (), **whom: object) -> dict[str, object]:
    share = 1000 // max(1, len(variants))
    return {
        "name": "flexibleRollout",
        "parameters": {"rollout": str(percent), "stickiness": "userId", "groupId": "journey"},
        **whom,
        "variants": [
            {"name": name, "weight": share, "weightType": "variable", "stickiness": "userId"} for name in variants
        ],
    }


def asking(unleash: Unleash, **more: str) -> dict[str, str]:
    """Return the settings of a service that asks this server often."""
    return {
        "APP_FEATURE_FLAGS__URL": unleash.url,
        "APP_FEATURE_FLAGS__TOKEN": unleash.token,
        "APP_FEATURE_FLAGS__POLL_SECONDS": "0.2",
        "APP_FEATURE_FLAGS__TIMEOUT_SECONDS": "1",
        "APP_ORDERS__SETTLE_AFTER_SECONDS": "60",
        **more,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with rules to begin with, by which orders are paid in the background, and room for the cache."""
    folder = tmp_path_factory.mktemp("flags")
    rules = {"version": 2, "features": [feature(RELEASE, on=True)]}
    (folder / "bootstrap.json").write_text(json.dumps(rules))
    return folder


@pytest.fixture(scope="module")
def flagged(new_service: NewService, server: Unleash, files: Path) -> RunningService:
    """Return the whole service, asking the server."""
    kept = {
        "APP_FEATURE_FLAGS__CACHE_FOLDER": str(files / "cache"),
        "APP_FEATURE_FLAGS__BOOTSTRAP_FILE": str(files / "bootstrap.json"),
    }
    service = new_service(**asking(server, **kept))
    asyncio.run(service.start("serve", "worker"))
    return service


async def test_a_switch_thrown_in_unleash_stops_new_orders(flagged: RunningService, unleash: Unleash) -> None:
    """New ones are told when to come back, old ones shown and cancelled; and back again, without a restart."""
    async with flagged.client() as client:
        order = (await client.post("/v1/orders", json=ORDER)).raise_for_status().json()

        await unleash.throw(SWITCH, on=True)
        refused = await eventually(lambda: _answered(client, 503), within_seconds=30)
        shown = await client.get("/v1/orders")
        cancelled = await client.post(f"/v1/orders/{order['id']}/cancel")
        await unleash.throw(SWITCH, on=False)
        taken = await eventually(lambda: _answered(client, 201), within_seconds=30)

    assert (refused.json()["code"], refused.headers["retry-after"]) == ("orders_stopped", "60")
    assert (shown.status_code, cancelled.status_code) == (200, 200)
    (line,) = await request_lines(flagged.serve, refused.json()["request_id"])
    assert line["flags"] == {SWITCH: "on", RELEASE: "off"}
    server = await flagged.spans.span("POST /v1/orders", trace_id=line["trace_id"])
    assert (
        "feature_flag.evaluation",
        {"feature_flag.key": SWITCH, "feature_flag.result.variant": "on"},
    ) in server.events
    (line,) = await request_lines(flagged.serve, taken.headers["x-request-id"])
    assert line["flags"] == {SWITCH: "off", RELEASE: "off"}


async def test_one_tenant_has_what_is_released_to_it(flagged: RunningService) -> None:
    """Its orders are paid by the worker, at once; those of others in the request."""
    async with flagged.client(tenant="first") as first, flagged.client(tenant="second") as second:
        await eventually(lambda: _answered(first, 202), within_seconds=30)
        early = await first.post("/v1/orders", json=ORDER)
        other = await second.post("/v1/orders", json=ORDER)
        settled = await flagged.in_state(first, early.json()["id"], "placed", "order.placed")

    assert (early.status_code, early.json()["state"]) == (202, "pending")
    assert (other.status_code, settled["id"]) == (201, early.json()["id"])


async def test_rules_are_evaluated_here_as_there(unleash: Unleash) -> None:
    """A hundred users of two tenants: half of one's, the half that the server chooses; and a segment's colours."""
    users = {f"customer-{number}": _hashed(f"customer-{number}") for number in range(100)}
    tenants = ["acme", "globex"]
    await unleash.create(HALF.name, _rollout(50, constraints=[_for("acme")]))
    segment = await unleash.segment("journey", _for("acme"))
    await unleash.create(COLOUR.name, _rollout(100, segments=[segment], variants=COLOUR.variants))
    there = await unleash.evaluated(HALF.name, users=[*users.values()], tenants=tenants)
    colours = await unleash.evaluated(COLOUR.name, users=[*users.values()], tenants=tenants)

    settings = FeatureFlagSettings.model_validate({"url": unleash.url, "token": unleash.token, "poll_seconds": 0.1})
    here, seen = {}, {}
    blue = next(actor for actor, user in users.items() if colours[user, "acme"] == "blue")
    async with running(FeatureFlags([HALF, COLOUR], settings, service="journey", env="test"), settings) as features:

        def arrived() -> bool:
            """Whether these are the last rules: Unleash sends those of a second ago, when the flag was not on yet."""
            with bind(Context(tenant="acme", actor=blue)):
                return features.variant(COLOUR) == "blue"

        await eventually(arrived, within_seconds=30)
        for actor, user in users.items():
            for tenant in tenants:
                with bind(Context(tenant=tenant, actor=actor)):
                    here[user, tenant] = "on" if features.is_on(HALF) else "off"
                    seen[user, tenant] = features.variant(COLOUR)

    assert here == there
    assert seen == {who: "red" if colour == "off" else colour for who, colour in colours.items()}
    assert 30 < sum(answer == "on" for (_, tenant), answer in here.items() if tenant == "acme") < 70
    assert {answer for (_, tenant), answer in here.items() if tenant == "globex"} == {"off"}
    assert {"red", "blue"} == {*colours.values()} - {"off"}


async def test_a_server_that_hangs_holds_up_nobody(
    new_service: NewService, flagged: RunningService, unleash: Unleash
) -> None:
    """A process starts, answers and ends while its first question is open; one that runs goes on with what it knows."""
    starting, ending = (new_service(**asking(unleash, **FOREVER)) for _ in range(2))
    unleash.process.send(signal.SIGSTOP)
    try:
        await starting.start("serve")
        async with starting.client(tenant="first") as client, flagged.client(tenant="first") as known:
            taken = await client.post("/v1/orders", json=ORDER)
            went_on = await known.post("/v1/orders", json=ORDER)
        open_question = await _fetches(starting)
        await ending.start("serve")
        exit_code = await asyncio.to_thread(ending.serve.terminate)
    finally:
        unleash.process.send(signal.SIGCONT)
    answered = await eventually(lambda: _fetches(starting), within_seconds=30)

    assert (taken.status_code, went_on.status_code) == (201, 202)  # by the default, and by what was known
    assert (open_question, answered) == ({}, {"changed": 1.0})  # it asked once, and that lasted all the while
    assert exit_code == 0


async def test_a_dead_server_leaves_what_was_known_then_the_file_then_the_default(
    flagged: RunningService, unleash: Unleash, files: Path
) -> None:
    """A process that runs goes on, and one that starts takes the first of these that there is."""
    cache = files / "cache" / f"feature_flags-{flagged.env['OTEL_SERVICE_NAME']}-test.json"
    await unleash.throw(SWITCH, on=True)
    async with flagged.client() as client:
        await eventually(lambda: _answered(client, 503), within_seconds=30)
        await asyncio.to_thread(unleash.process.kill)
        await eventually(lambda: flagged.serve.logged("feature_flags.fetch_failed"))
        answers = [await _status(client)]

        for lost in ([], [cache], [cache, files / "bootstrap.json"]):
            await asyncio.to_thread(flagged.serve.terminate)
            for path in lost:
                path.unlink(missing_ok=True)
            await flagged.start("serve")
            answers.append(await _status(client))

    # As before; from the cache; from the file, by which orders are paid in the background; as the code says.
    assert answers == [503, 503, 202, 201]


async def _answered(client: httpx.AsyncClient, status: int) -> httpx.Response | None:
    """Return the answer to a new order, if it has this status."""
    answer = await client.post("/v1/orders", json=ORDER)
    return answer if answer.status_code == status else None


async def _status(client: httpx.AsyncClient) -> int:
    return (await client.post("/v1/orders", json=ORDER)).status_code


async def _fetches(service: RunningService) -> dict[str, float]:
    """Return how often questions to the flag server came to an end, by outcome, as far as there was any."""
    found = [each for each in await service.samples() if each.name == "feature_flags_fetches_total"]
    return {each.labels["outcome"]: each.value for each in found if each.value}


def _hashed(actor: str) -> str:
    return hashlib.sha256(actor.encode()).hexdigest()[:32]
