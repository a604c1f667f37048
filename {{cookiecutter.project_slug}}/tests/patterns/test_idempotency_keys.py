"""patterns/idempotency: what a key is, and when two requests are the same one."""

import re

import pytest

from app.kit import context
from app.patterns.idempotency import DESCRIBED, IdempotencyKeyInvalid, IdempotencySettings, described
from app.patterns.idempotency.header import parse
from app.patterns.idempotency.key import Key, key_of
from dev.environment import ROOT

UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        pytest.param(UUID, UUID, id="bare"),
        pytest.param(f'"{UUID}"', UUID, id="quoted"),
        pytest.param(f'  "{UUID}"\t', UUID, id="blanks around"),
        pytest.param('"an order"', "an order", id="blank inside quotes"),
        pytest.param(r'"a \"b\" \\ c"', r'a "b" \ c', id="escapes"),
        pytest.param("order/7:retry=1;x", "order/7:retry=1;x", id="punctuation"),
        pytest.param("k" * 255, "k" * 255, id="as long as it may be"),
        pytest.param(f'"{"k" * 255}"', "k" * 255, id="as long, quoted"),
    ],
)
def test_a_key_is_read(sent: str, key: str) -> None:
    """A string as the draft wants it, or the bare text that most clients send."""
    assert parse([sent.encode()]) == key


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"  "], id="blanks"),
        pytest.param([b'""'], id="empty quotes"),
        pytest.param([b'"'], id="one quote"),
        pytest.param([b'"abc'], id="not closed"),
        pytest.param([b'abc"'], id="not opened"),
        pytest.param([b'"a"b"'], id="quote inside"),
        pytest.param([rb'"a\b"'], id="escape of a letter"),
        pytest.param([rb'"a\"'], id="escaped end"),
        pytest.param([b'"a";p=1'], id="parameters"),
        pytest.param([b'"a", "b"'], id="list"),
        pytest.param([b"a,b"], id="joined by a proxy"),
        pytest.param([b"a b"], id="blank inside bare"),
        pytest.param([b"a", b"a"], id="header twice"),
        pytest.param([b"k" * 256], id="too long"),
        pytest.param([b'"' + b"k" * 256 + b'"'], id="too long, quoted"),
        pytest.param([b"k" * 60_000], id="far too long"),
        pytest.param(["schlüssel".encode()], id="UTF-8"),
        pytest.param(["schlüssel".encode("latin-1")], id="Latin-1"),
        pytest.param([b'"\xf0\x9f\x94\x91"'], id="emoji in quotes"),
        pytest.param([b"a\x00b"], id="NUL"),
        pytest.param([b"a\x1bb"], id="escape character"),
        pytest.param([b'"a\x7fb"'], id="delete character"),
        pytest.param([b'"a\tb"'], id="tab in quotes"),
        pytest.param([b"a\nb"], id="newline"),
    ],
)
def test_what_is_no_key_is_refused(values: list[bytes]) -> None:
    """Nothing is guessed: two parties might guess differently, and then it is done twice."""
    with pytest.raises(IdempotencyKeyInvalid) as refused:
        parse(values)

    assert not any(part in refused.value.detail for part in ("abc", "schl", "k" * 20))


def named(text: str = "k", *, tenant: str = "acme", actor: str = "ann", operation: str = "POST /things") -> Key:
    """Return a key with an empty content."""
    with context.bind(context.Context(tenant=tenant, actor=actor)):
        return key_of(text, operation=operation, target=("/things", ""), body=b"")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(named("l"), id="text"),
        pytest.param(named(tenant="zeta"), id="tenant"),
        pytest.param(named(actor="bob"), id="actor"),
        pytest.param(named(operation="PUT /things"), id="method"),
        pytest.param(named(operation="POST /others"), id="route"),
        pytest.param(named(tenant="acmea", actor="nn"), id="parts that join to the same text"),
    ],
)
def test_keys_are_apart(other: Key) -> None:
    """The same text is another key for another tenant, caller or operation, and is locked apart."""
    assert other.digest != named().digest
    assert other.lock != named().lock


def test_the_text_of_a_key_is_not_kept() -> None:
    """A client's key may be a secret or somebody's name: what is stored is a digest."""
    assert "hunter2" not in repr(named("hunter2"))
    assert -(2**63) <= named("hunter2").lock < 2**63


def content(body: bytes = b'{"a": 1, "b": [2]}', path: str = "/things/1", query: str = "") -> bytes:
    """Return the fingerprint of a request."""
    return key_of("k", operation="POST /things/{id}", target=(path, query), body=body).fingerprint


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"b":[2],"a":1}', id="order of names"),
        pytest.param(b'\n{ "a" : 1 ,\t"b" : [ 2 ] }', id="blanks"),
        pytest.param(b'{"a": 1.0, "b": [2e0]}', id="whole numbers"),
        pytest.param(rb'{"\u0061": 1, "b": [2]}', id="escapes"),
    ],
)
def test_one_content_written_in_two_ways_is_the_same(body: bytes) -> None:
    """What JSON gives no meaning to makes no other request."""
    assert content(body) == content()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(content(b'{"a": 1, "b": [3]}'), id="value"),
        pytest.param(content(b'{"a": 1, "b": [2], "c": null}'), id="name"),
        pytest.param(content(b'{"a": "1", "b": [2]}'), id="type"),
        pytest.param(content(b'{"a": true, "b": [2]}'), id="true for 1"),
        pytest.param(content(b'{"a": 1.5, "b": [2]}'), id="fraction"),
        pytest.param(content(path="/things/2"), id="path"),
        pytest.param(content(query="dry_run=1"), id="query"),
        pytest.param(content(b""), id="no body"),
        pytest.param(content(b"{"), id="no JSON"),
        pytest.param(content(b"[" * 100_000), id="too deep"),
        pytest.param(content(b"9" * 5_000), id="too many digits"),
        pytest.param(content(b"\xff\xfe\xff"), id="no text"),
    ],
)
def test_another_content_is_another_request(other: bytes) -> None:
    """Anything that could change the outcome counts."""
    assert other != content()


def test_clients_are_told_how_long_a_key_is_good() -> None:
    """The API's description names the setting's value, and the header's."""
    (parameter,) = DESCRIBED["parameters"]

    assert "kept for 36 hours" in described(IdempotencySettings(keep_hours=36))
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Idempotency-Key", "header", False)


def test_the_page_lists_the_settings() -> None:
    """Variable, default and meaning are those of the settings, so that the page cannot name another expiry."""
    page = (ROOT / "docs" / "idempotency.md").read_text()

    assert re.findall(r"^\| `APP_IDEMPOTENCY__(\w+)` \| `(\S+)` \| (.+) \|$", page, re.MULTILINE) == [
        (name.upper(), str(field.default), field.description)
        for name, field in IdempotencySettings.model_fields.items()
    ]
