"""patterns/outbox/writer.py: what leaves is a CloudEvent of version 1.0, by the rules of its specification."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.context import Context, bind
from app.patterns.inbox.events import parse
from app.patterns.outbox import Event, Relay, RelaySettings
from tests.support.outbox import given_events
from tests.support.recording_broker import RecordingBroker

EVENT = Event(
    type="order.placed", source="/orders", aggregate_id="7", tenant="acme", data={"total_minor": 1}, schema_version=2
)
RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


@pytest.fixture
async def body(engine: AsyncEngine) -> bytes:
    """Return a message as the broker gets it."""
    broker = RecordingBroker()
    with bind(Context(request_id="a" * 32, tenant="acme", actor="ann")):
        await given_events(engine, EVENT)
    await Relay(engine, broker, RelaySettings()).relay_once()
    return broker.stored[0].body


@pytest.fixture
def envelope(body: bytes) -> dict[str, Any]:

    parsed: dict[str, Any] = orjson.loads(body)
    return parsed


@pytest.mark.parametrize("attribute", ["id", "source", "specversion", "type"])
def test_a_required_attribute_is_there(envelope: dict[str, Any], attribute: str) -> None:
    """The four without which it is no CloudEvent: text, and not empty."""
    assert isinstance(envelope[attribute], str)
    assert envelope[attribute]


def test_the_version_of_the_specification_is_told(envelope: dict[str, Any]) -> None:
    """The only value that version 1.0 allows."""
    assert envelope["specversion"] == "1.0"


def test_attributes_have_names_that_every_transport_can_carry(envelope: dict[str, Any]) -> None:
    """Lower-case letters and digits, at most twenty of them; their values are text."""
    attributes = envelope.keys() - {"data"}

    assert [name for name in attributes if not re.fullmatch(r"[a-z0-9]{1,20}", name)] == []
    assert [name for name in attributes if not isinstance(envelope[name], str)] == []


def test_optional_attributes_have_their_types(envelope: dict[str, Any]) -> None:
    """An absolute URI, a media type, a time with its offset, and a subject that is not empty."""
    assert urlsplit(envelope["dataschema"]).scheme == "urn"
    assert envelope["datacontenttype"] == "application/json"
    assert re.fullmatch(RFC_3339, envelope["time"])
    assert datetime.fromisoformat(envelope["time"]) == EVENT.time
    assert envelope["subject"] == "7"


def test_the_version_of_the_data_is_told(envelope: dict[str, Any]) -> None:
    """Another number is another schema, as the specification asks for where consumers would go wrong."""
    assert envelope["dataschema"] == "urn:schema:order.placed:2"


def test_source_and_id_together_name_the_event(envelope: dict[str, Any]) -> None:
    """What the specification tells consumers to recognise a duplicate by; the broker gets the same id."""
    assert (envelope["source"], envelope["id"]) == ("/orders", str(EVENT.id))


def test_a_consumer_reads_what_was_written(body: bytes) -> None:
    """The other side of the broker knows every attribute that it needs, the version of the data among them."""
    event = parse(body)

    assert (event.id, event.type, event.tenant, event.data) == (EVENT.id, EVENT.type, "acme", {"total_minor": 1})
    assert (event.dataschema, event.requestid, event.actor) == ("urn:schema:order.placed:2", "a" * 32, "ann")
