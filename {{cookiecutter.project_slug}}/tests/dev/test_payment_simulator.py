"""The payment simulator over a socket: its answers, its memory, its faults."""

import json
from collections.abc import Iterator

import httpx
import pytest

from dev.http_server import ResettableProtocol, serving
from dev.payment_simulator import PaymentSimulator


@pytest.fixture
def provider() -> Iterator[httpx.Client]:
    """Yield a client of a fresh simulator."""
    with (
        serving(PaymentSimulator().app(), http=ResettableProtocol) as url,
        httpx.Client(base_url=url, timeout=5) as client,
    ):
        yield client


def authorise(provider: httpx.Client, key: str = "order-1", amount_minor: int = 1200) -> httpx.Response:
    """Ask for an authorisation."""
    body = {"amount_minor": amount_minor, "currency": "EUR", "reference": key}
    return provider.post("/authorisations", json=body, headers={"Idempotency-Key": key})


def decided(provider: httpx.Client) -> list[tuple[str, str, bool]]:
    """Return key, status and voided of everything in the provider's books."""
    return [(item["key"], item["status"], item["voided"]) for item in provider.get("/authorisations").json()]


def test_amount_is_authorised(provider: httpx.Client) -> None:
    """A good request is authorised and in the books."""
    answer = authorise(provider)

    assert (answer.status_code, answer.json()) == (201, {"id": "auth-order-1", "status": "authorised"})
    assert decided(provider) == [("order-1", "authorised", False)]


def test_amount_ending_in_13_is_refused(provider: httpx.Client) -> None:
    """The documented unlucky amount is refused."""
    answer = authorise(provider, amount_minor=1213)

    assert (answer.status_code, answer.json()) == (402, {"status": "refused"})


def test_same_key_gives_the_same_answer(provider: httpx.Client) -> None:
    """A repeated request changes nothing."""
    first, second = authorise(provider), authorise(provider)

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len(decided(provider)) == 1


def test_same_key_with_another_body_is_a_mistake(provider: httpx.Client) -> None:
    """A key belongs to one request."""
    authorise(provider, amount_minor=1200)

    assert authorise(provider, amount_minor=1300).status_code == 422


def test_void_can_be_repeated(provider: httpx.Client) -> None:
    """Voiding twice is voiding once."""
    authorise(provider)

    answers = [provider.post("/authorisations/order-1/void").status_code for _ in range(2)]

    assert answers == [204, 204]
    assert decided(provider) == [("order-1", "authorised", True)]


def test_void_that_overtakes_its_authorisation_wins(provider: httpx.Client) -> None:
    """An authorisation that arrives after its void is refused, so that no money stays reserved."""
    assert provider.post("/authorisations/order-1/void").status_code == 204

    assert authorise(provider).status_code == 402


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        pytest.param({"amount_minor": 0, "currency": "EUR", "reference": "r"}, "k", 422, id="no amount"),
        pytest.param({"amount_minor": "12", "currency": "EUR", "reference": "r"}, "k", 422, id="amount as text"),
        pytest.param({"amount_minor": 12, "currency": "euro", "reference": "r"}, "k", 422, id="no such currency"),
        pytest.param({"amount_minor": 12, "currency": "EUR"}, "k", 422, id="no reference"),
        pytest.param({"amount_minor": 12, "currency": "EUR", "reference": "r"}, "", 400, id="no key"),
    ],
)
def test_bad_request_is_not_decided(provider: httpx.Client, body: dict[str, object], key: str, status: int) -> None:
    """What the provider cannot understand never reaches its books."""
    answer = provider.post("/authorisations", json=body, headers={"Idempotency-Key": key})

    assert (status, []) == (answer.status_code, decided(provider))


def test_every_second_call_fails_and_decides_nothing(provider: httpx.Client) -> None:
    """Errors hit exactly every nth call, before anything is decided."""
    provider.put("/faults", json={"error_every": 2})

    statuses = [authorise(provider, key=f"order-{number}").status_code for number in range(4)]

    assert statuses == [201, 500, 201, 500]
    assert [key for key, *_ in decided(provider)] == ["order-0", "order-2"]


def test_reset_loses_the_answer_and_not_the_decision(provider: httpx.Client) -> None:
    """The connection breaks after the amount was reserved: the case that idempotency keys are for."""
    provider.put("/faults", json={"reset_every": 1})

    with pytest.raises(httpx.ReadError):
        authorise(provider)

    assert decided(provider) == [("order-1", "authorised", False)]


def test_garbage_is_no_json(provider: httpx.Client) -> None:
    """The answer claims to be JSON and is not."""
    provider.put("/faults", json={"garbage_every": 1})

    answer = authorise(provider)

    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(answer.text)


def test_latency_is_added(provider: httpx.Client) -> None:
    """A slow provider answers after the caller has given up."""
    provider.put("/faults", json={"latency_seconds": 30})

    with pytest.raises(httpx.ReadTimeout):
        provider.post("/authorisations/order-1/void", timeout=0.1)


def test_down_provider_recovers_when_faults_are_cleared(provider: httpx.Client) -> None:
    """Down is down for authorisations and voids; DELETE /faults ends it."""
    provider.put("/faults", json={"down": True})
    down = [authorise(provider).status_code, provider.post("/authorisations/order-1/void").status_code]

    provider.delete("/faults")

    assert (down, authorise(provider).status_code) == ([503, 503], 201)


def test_unknown_fault_is_refused(provider: httpx.Client) -> None:
    """A misspelt switch must not look like a healthy provider."""
    answer = provider.put("/faults", json={"error_evry": 2})

    assert answer.status_code == 422
