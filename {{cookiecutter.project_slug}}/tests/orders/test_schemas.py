"""orders/schemas.py: what comes in is checked to the letter."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.kit.ids import uuid7
from app.orders.errors import InvalidCursor
from app.orders.models import Order
from app.orders.schemas import PlaceOrder, decode_cursor, encode_cursor


def an_item(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - the test is about any value
    """Return a valid item with some fields changed."""
    return {"sku": "tea", "quantity": 1, "unit_price_minor": 450, **changes}


def a_request(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - the test is about any value
    """Return a valid request with some fields changed."""
    return {"currency": "EUR", "items": [an_item()], **changes}


def test_a_valid_request_is_accepted() -> None:
    """The example that all refusals below start from is itself fine."""
    assert PlaceOrder.model_validate(a_request()).items[0].sku == "tea"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(a_request(currency="eur"), id="lower-case currency"),
        pytest.param(a_request(currency="EUR\n"), id="newline after the currency"),
        pytest.param(a_request(items=[]), id="no items"),
        pytest.param(a_request(items=[an_item()] * 101), id="too many items"),
        pytest.param(a_request(discount=10), id="unknown field"),
        pytest.param(a_request(items=[an_item(colour="red")]), id="unknown field of an item"),
        pytest.param(a_request(items=[an_item(quantity=0)]), id="zero pieces"),
        pytest.param(a_request(items=[an_item(quantity=-1)]), id="negative pieces"),
        pytest.param(a_request(items=[an_item(quantity="1")]), id="number in quotes"),
        pytest.param(a_request(items=[an_item(quantity=1.5)]), id="fraction"),
        pytest.param(a_request(items=[an_item(quantity=True)]), id="boolean"),
        pytest.param(a_request(items=[an_item(unit_price_minor=-450)]), id="negative price"),
        pytest.param(a_request(items=[an_item(unit_price_minor=2**63)]), id="overflowing price"),
        pytest.param(a_request(items=[an_item(sku="tea\x00")]), id="NUL byte"),
        pytest.param(a_request(items=[an_item(sku="")]), id="empty sku"),
        pytest.param(a_request(items=[an_item(sku="x" * 65)]), id="long sku"),
        pytest.param(a_request(items=[an_item(sku="thé")]), id="non-ASCII sku"),
    ],
)
def test_a_wrong_request_is_refused(request_: dict[str, Any]) -> None:
    """Nothing is converted, trimmed or ignored."""
    with pytest.raises(ValidationError):
        PlaceOrder.model_validate(request_)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """2.0 is the integer 2, as JSON Schema has it; what is kept is an integer."""
    item = PlaceOrder.model_validate_json(
        '{"currency":"EUR","items":[{"sku":"a","quantity":2.0,"unit_price_minor":1e3}]}'
    ).items[0]

    assert (item.quantity, item.unit_price_minor) == (2, 1000)
    assert isinstance(item.quantity, int)


def test_a_cursor_leads_back_to_its_order() -> None:
    """What the API hands out, it understands."""
    order = Order(id=uuid7())

    assert decode_cursor(encode_cursor(order)) == order.id


@pytest.mark.parametrize("cursor", ["", "!", "AAAA", "é" * 22, "A" * 64, "\x00", "' OR 1=1 --"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    """A cursor that this API did not make is the client's mistake, not ours."""
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor)
