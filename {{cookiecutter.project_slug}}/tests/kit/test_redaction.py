"""kit/redaction.py: what must go goes, what must stay stays, and no text takes long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.redaction import EXAMINED_CHARACTERS, names_a_secret, redact

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"

GOES = {
    "card": ("paid with 4111111111111111.", "paid with [card]."),
    "card in groups": ("4111 1111 1111 1111", "[card]"),
    "card with hyphens": ("card-4111-1111-1111-1111-end", "card-[card]-end"),
    "card of 15 digits": ("3782 822463 10005", "[card]"),
    "card of 14 digits": ("30569309025904", "[card]"),
    "card between other numbers": ("2031 4111 1111 1111 1111 123", "2031 [card] 123"),
    "card in a list": ("1,4111111111111111,5555555555554444", "1,[card],[card]"),
    "e-mail": ("to Ann <ann.smith+tea@mail.example.co.uk>", "to Ann <[email]>"),
    "e-mail in a query string": ("/x?email=ann%40example.com&page=2", "/x?email=[email]&page=2"),
    "e-mail with accents": ("jörg@bücher.example", "[email]"),
    "IBAN": ("from DE89370400440532013000 today", "from [iban] today"),
    "IBAN in groups": ("GB29 NWBK 6016 1331 9268 19 and more", "[iban] and more"),
    "IBAN in small letters": ("gb29nwbk60161331926819", "[iban]"),
    "JWT": (f"got {JWT}, refused", "got [jwt], refused"),
    "JWT that was cut": (JWT[:30], "[jwt]"),
    "bearer token": ("sent Bearer abc.DEF-123_~+/=", "sent Bearer [token]"),
    "bearer token in small letters": ("bearer hunter", "bearer [token]"),
    "basic credentials": ("Basic dXNlcjpwYXNz", "Basic [token]"),
    "authorization header": ("Authorization: Digest user=ann\nHost: a", "Authorization: [secret]\nHost: a"),
    "cookie header": ("cookie: a=b; c=d", "cookie: [secret]"),
    "headers as ASGI has them": ("(b'cookie', b'a'), (b'pwd', b'b')", "(b'cookie', [secret]), (b'pwd', [secret])"),
    "password in a URL": ("postgresql+asyncpg://app:hunter2@db:5432/app", "postgresql+asyncpg://[credentials]@db:5432/app"),
    "password with an @ in a URL": ("nats://app:hunt@er2@broker", "nats://[credentials]@broker"),
    "token in a query string": ("GET /x?access_token=abc&page=2", "GET /x?access_token=[secret]&page=2"),
    "password as a setting": ("APP_PASSWORD=hunter2 started", "APP_PASSWORD=[secret] started"),
    "password in JSON": ('{"password": "hunt\\"er2", "page": 2}', '{"password": [secret], "page": 2}'),
    "password in JSON in JSON": ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": [secret]'),
    "password in a repr": ("User(password=b'hunter 2', page=2)", "User(password=[secret], page=2)"),
    "password in a form": ("{'password': ['hunter2']}", "{'password': [secret]]}"),
    "API key": ("x-api-key: abc, client_secret=def", "x-api-key: [secret], client_secret=[secret]"),
    "access key": ("as AKIAIOSFODNN7EXAMPLE", "as [secret]"),
    "access key for a while": ("as ASIAIOSFODNN7EXAMPLE", "as [secret]"),
    "private key": ("-----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----\nok", "[secret]\nok"),
    "private key that was cut": ("key:\n-----BEGIN PRIVATE KEY-----\nMIIE", "key:\n[secret]"),
    "what PostgreSQL quotes": ("a\nDETAIL:  Key (name)=(Ann\nSmith) already exists.", "a\nDETAIL:  [hidden]"),
    "what pydantic quotes": ("input_value='Ann', input_type=str]\nmore", "input_value=[hidden]\nmore"),
    "what SQLAlchemy binds": ("[SQL: x]\n[parameters: ('Ann',)]\n(More)", "[SQL: x]\n[parameters: [hidden]\n(More)"),
}  # fmt: skip
STAYS = {
    "UUIDv7": "0199f2c4-1d34-7abc-8def-01a3456789ab",
    "UUID of digits": "12345678-1234-4123-8123-123456789012",
    "trace context": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "ULID": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "RFC 3339": "2026-01-02T03:04:05.123456Z",
    "date and time": "20260102 030405",
    "milliseconds": "1767225600124",
    "nanoseconds": "1767225600123456781",
    "seconds": "1767225600.1234567890123",
    "fraction": "0.4111111111111111",
    "amount": "1,234,567.89 EUR, total_minor=100000000000000",
    "wrong check digit": "4111111111111112",
    "wrong check digits of an IBAN": "DE88370400440532013000",
    "hexadecimal": "4111111111111111abcdef abcdef4111111111111111",
    "phone number": "+49 30 1234567",
    "event": "authentication.keys_fetch_failed",
    "version": "v2026.1.2-rc.1+build.20260102",
    "path": "/app/src/app/kit/redaction.py:123 in redact",
    "SQL": "SELECT token FROM sessions WHERE token = $1::VARCHAR AND secret IS NULL",
    "SQL with names": "UPDATE users SET password = :password, token = %(token)s WHERE token = ?",
    "constraint": 'duplicate key value violates unique constraint "orders_pkey"',
    "sentence": "The token lacks a required claim: iss, aud, sub or exp.",
    "bearer in a sentence": 'Bearer authentication is required: Bearer realm="orders"',
    "basic in a sentence": "Basic authentication failed for want of basic understanding of PostgreSQL",
    "names that only look secret": "token_type=code, max_tokens=100, tokens: 12, secretary: Ann, key=order-7",
    "nothing": "token: null, password: None",
    "secret that hides itself": "password=SecretStr('**********')",
    "package": "left-pad@1.3.0 nginx@sha256:9f86d081884c7d65",
    "user at a host": "postgres@localhost",
    "operator": "items @> '[]'",
    "URL": "https://example.com:8443/path?page=2&limit=10",
    "subject of a token": "auth0|5f7c8ec7c33c6c004bbafe82 110169484474386276334",
    "word like a JWT": "KeyJournalEntryWritten",
}


@pytest.mark.parametrize(("text", "expected"), GOES.values(), ids=GOES)
def test_what_must_not_be_written_is_replaced(text: str, expected: str) -> None:
    """A secret becomes a marker, and what stands around it stays."""
    assert redact(text) == expected


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_what_only_looks_alike_stays(text: str) -> None:
    """Ids, times, amounts, versions, paths, SQL and sentences are not damaged."""
    assert redact(text) == text


@pytest.mark.parametrize("text", [redacted for _, redacted in GOES.values()], ids=GOES)
def test_a_redacted_text_stays_as_it_is(text: str) -> None:
    """What has been redacted may pass again, on its way from an exception into a span or a line."""
    assert redact(text) == text


def check_digit(number: str) -> str:
    """Return the digit that makes `number` pass Luhn's check, found by the table of doubled digits."""
    doubled = "0246813579"
    total = sum(int(doubled[int(digit)] if at % 2 == 0 else digit) for at, digit in enumerate(reversed(number)))
    return str(-total % 10)


NUMBERS = st.from_regex(r"[2-9][0-9]{11,17}", fullmatch=True)


@given(NUMBERS)
def test_every_card_number_goes(number: str) -> None:
    """Whatever its length and issuer, a number with the right check digit is a card."""
    assert redact(f"paid {number}{check_digit(number)}") == "paid [card]"


@given(NUMBERS, st.integers(1, 9))
def test_every_other_number_stays(number: str, wrong_by: int) -> None:
    """A number with any other last digit is none."""
    other = f"order {number}{(int(check_digit(number)) + wrong_by) % 10}"

    assert redact(other) == other


@given(st.from_regex(r"4[0-9]{14}", fullmatch=True), st.sampled_from(" -"))
def test_every_card_in_groups_goes(number: str, separator: str) -> None:
    """Groups of four, as they are printed on the card."""
    card = number + check_digit(number)

    assert redact(separator.join(card[at : at + 4] for at in range(0, 16, 4))) == "[card]"


COUNTRIES = st.sampled_from(
    [("NO", 11), ("BE", 12), ("DE", 18), ("GB", 18), ("ES", 20), ("FR", 23), ("PL", 24), ("MT", 27)]
)
ACCOUNTS = COUNTRIES.flatmap(
    lambda country: st.tuples(st.just(country[0]), st.from_regex(rf"[A-Z]{{0,3}}[0-9]{{{country[1]}}}", fullmatch=True))
    .map(lambda made: (made[0], made[1][: country[1]]))
)  # fmt: skip


@given(ACCOUNTS, st.booleans())
def test_every_iban_goes(account: tuple[str, str], in_groups: bool) -> None:  # noqa: FBT001 - drawn
    """Of each country, with the right check digits, in one piece or in groups of four."""
    country, number = account
    digits = "".join(str(int(character, 36)) for character in f"{number}{country}00")
    iban = f"{country}{98 - int(digits) % 97:02}{number}"
    shown = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4)) if in_groups else iban

    assert redact(f"to {shown} now") == "to [iban] now"


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    """Nothing raises, and a second time changes nothing."""
    assert redact(redact(text)) == redact(text)


HOSTILE = [
    "1", "1 ", "1111-", "4111 1111 1111 1111 ", "@", "a@", "a@a.", "%40", "eyJ", "bearer ", "basic aaaa ", "password",
    "password ", "password='", "token\\", "token: [", "'token',", "://", "://a@", "-----BEGIN ", "cookie:",
    "DE00 0000 ", "AKIA", "input_value=", "DETAIL:  ", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_megabyte_costs_no_more_than_its_beginning(shape: str) -> None:
    """Of a hostile text only the beginning is looked at, and only that is shown."""
    text = shape * (1_000_000 // len(shape))

    redacted = redact(text)

    assert redacted == redact(text[: EXAMINED_CHARACTERS + 1])
    assert redacted.endswith("…")
    assert len(redacted) < 5 * EXAMINED_CHARACTERS


@pytest.mark.parametrize("secret", ["4111 1111 1111 1111", "ann.smith@mail.example", "nats://ann:hunter2@broker"])
def test_a_secret_across_the_cut_is_not_shown(secret: str) -> None:
    """Half a secret would not be recognised, so the end of a cut text is not shown."""
    padding = "." * (EXAMINED_CHARACTERS - len(secret) // 2)

    assert redact(f"{padding}{secret}{padding}").strip(".") == "…"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("user_password", True), ("api_key", True), ("X-Api-Key", True), ("access_token", True),
        ("Authorization", True), ("set-cookie", True), ("token_type", False), ("key", False), ("order_id", False),
        ("primary_key", False), ("tokens", False),
    ],
)  # fmt: skip
def test_a_field_is_known_by_its_name(name: str, secret: bool) -> None:  # noqa: FBT001 - the table's column
    """The value of a field called `password` is a secret, whatever it looks like."""
    assert names_a_secret(name) is secret
