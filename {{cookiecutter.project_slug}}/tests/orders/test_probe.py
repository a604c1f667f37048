"""orders/probe.py: what the probe makes of answers, and what it leaves behind. The shop here is a small one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.orders.probe import SKU, steps
from app.patterns.synthetic_journey import ClientCredentials, StepFailed

Take = Callable[..., Awaitable[None]]


class Shop:
    """Orders by number, newest first, two a page; and a till that can be told to say something else."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.cancelled: list[int] = []
        self.pages = 0
        self.keys: list[str] = []
        self.sent: list[str | None] = []
        self.says: dict[str, Any] = {}
        self.wont_cancel: set[int] = set()

    def given(self, number: int, state: str, sku: str = SKU) -> None:
        """Have an order from before."""
        items = [{"sku": sku, "quantity": 1, "unit_price_minor": 100}]
        order_id = str(UUID(int=number))
        self.orders[order_id] = {"id": order_id, "state": state, "total_minor": 100, "items": items}

    def states(self) -> dict[int, str]:
        """Return the states of all orders."""
        return {UUID(order["id"]).int: order["state"] for order in self.orders.values()}

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/v1/orders", self._place, methods=["POST"]),
                Route("/v1/orders", self._list, methods=["GET"]),
                Route("/v1/orders/{order_id}", self._get, methods=["GET"]),
                Route("/v1/orders/{order_id}/cancel", self._cancel, methods=["POST"]),
            ]
        )

    async def _token(self, _: Request) -> Response:
        return JSONResponse({"access_token": "t"})

    async def _place(self, request: Request) -> Response:
        self.keys.append(request.headers["idempotency-key"])
        number = max([0, *self.states()]) + 1
        self.given(number, "placed", (await request.json())["items"][0]["sku"])
        return self._shown(str(UUID(int=number)), 201)

    async def _get(self, request: Request) -> Response:
        self.sent.append(request.headers.get("x-read-after"))
        return self._shown(request.path_params["order_id"], 200)

    async def _list(self, request: Request) -> Response:
        self.pages += 1
        newest_first = sorted(self.orders.values(), key=lambda order: str(order["id"]), reverse=True)
        first = int(request.query_params.get("cursor", "0"))
        more = str(first + 2) if len(newest_first) > first + 2 else None
        return JSONResponse({"orders": newest_first[first : first + 2], "next_cursor": more})

    async def _cancel(self, request: Request) -> Response:
        self.keys.append(request.headers["idempotency-key"])
        order_id = request.path_params["order_id"]
        number = UUID(order_id).int
        if number in self.wont_cancel:
            return Response(status_code=503)
        self.cancelled.append(number)
        self.orders[order_id]["state"] = "cancelled"
        return self._shown(order_id, 200)

    def _shown(self, order_id: str, status: int) -> Response:
        return JSONResponse({**self.orders[order_id], **self.says}, status, {"x-read-after": "00000000000000ff"})


@pytest.fixture
def shop() -> Shop:
    """Return an empty shop."""
    return Shop()


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the shop."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop.app()), base_url="http://shop") as client:
        yield client


@pytest.fixture
def take(client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory) -> Take:
    """Return a function that takes the steps with these names."""
    secret = tmp_path_factory.mktemp("probe") / "secret"
    secret.write_text("s")
    login = ClientCredentials(client, token_url="http://shop/token", client_id="probe", secret_file=secret)
    by_name = {step.name: step.take for step in steps(client, login)}

    async def taken(*names: str) -> None:
        for name in names:
            await by_name[name]()

    return taken


async def test_a_journey_leaves_nothing_open(shop: Shop, take: Take) -> None:
    """The order is bought, read where it is known already, cancelled; each write under a key of its own."""
    await take("login", "buy", "read", "cancel", "clean-up")

    assert shop.states() == {1: "cancelled"}
    assert shop.sent == ["00000000000000ff"]
    assert len(set(shop.keys)) == len(shop.keys) == 2


@pytest.mark.parametrize(
    ("step", "says", "detail"),
    [
        pytest.param("buy", {"state": "pending"}, "is pending, for 100", id="payment still open"),
        pytest.param("buy", {"total_minor": 99}, "is placed, for 99", id="another price"),
        pytest.param("read", {"state": "refused"}, "is refused, for 100", id="another state"),
        pytest.param("read", {"id": str(UUID(int=7))}, "asked for 00000000-0000-0000-0000-000000000001", id="another"),
        pytest.param("read", {"items": [{"sku": "tea"}]}, "is placed, for 100", id="another article"),
        pytest.param("cancel", {"state": "placed"}, "is placed, for 100", id="not cancelled"),
    ],
)
async def test_an_answer_that_is_not_true_fails(
    shop: Shop,
    take: Take,
    step: str,
    says: dict[str, Any],
    detail: str,
) -> None:
    """With the right status, but not the order that the customer has."""
    names = ["login", "buy", "read", "cancel"]
    await take(*names[: names.index(step)])
    shop.says = says

    with pytest.raises(StepFailed) as failed:
        await take(step)

    assert failed.value.reason == "content"
    assert detail in failed.value.detail


async def test_what_earlier_runs_left_is_cancelled(shop: Shop, take: Take) -> None:
    """Over all pages that have open orders, oldest first; an open payment is left to be settled."""
    for number, state in enumerate(["placed", "cancelled", "cancelled", "placed", "pending", "placed", "placed"], 1):
        shop.given(number, state)

    await take("login", "clean-up")

    assert shop.cancelled == [4, 6, 7]
    assert shop.states()[5] == "pending"
    assert shop.pages == 3


async def test_a_clean_up_that_is_cut_off_is_gone_on_with(shop: Shop, take: Take) -> None:
    """The newest are left, where the next one looks first."""
    for number in range(1, 6):
        shop.given(number, "placed")
    shop.wont_cancel = {3}
    with pytest.raises(StepFailed):
        await take("login", "clean-up")
    shop.wont_cancel = set()

    await take("clean-up")

    assert shop.cancelled == [1, 2, 3, 4, 5]


async def test_orders_of_others_are_left_alone(shop: Shop, take: Take) -> None:
    """In a tenant by mistake, the probe cancels nobody's order."""
    shop.given(1, "placed", "tea")

    await take("login", "buy", "clean-up")

    assert shop.states() == {1: "placed", 2: "cancelled"}
