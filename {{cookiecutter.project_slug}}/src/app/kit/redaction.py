"""What must not be written down: secrets and personal data, found by their shape.

`redact` finds what can be recognised. A name, or a password without a word in front of it, cannot be: what a client
sends stays out of log lines and spans altogether, and this is the net below. docs/redaction.md tells what is caught.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

EXAMINED_CHARACTERS: Final = 4_000
"""A longer text is cut: the time it takes has a bound, and nothing is shown that was not looked at."""
_UNSURE_CHARACTERS = 256  # at the end of a cut text: half a card number would not be recognised
_MAX_ITEMS = 20
_MAX_STATEMENT = 1_000


# --- shapes with a check digit ---

# ISO 13616: the countries, by the length of their account numbers.
_IBAN_COUNTRIES: Final = {
    15: "NO", 16: "BE", 18: "DK|FI|FK|FO|GL|NL|SD", 19: "MK|SI", 20: "AT|BA|EE|KZ|LT|LU|MN|XK", 21: "CH|HR|LI|LV",
    22: "BG|BH|CR|DE|GB|GE|IE|ME|RS|VA", 23: "AE|GI|IL|IQ|OM|SO|TL", 24: "AD|CZ|ES|MD|PK|RO|SA|SE|SK|ST|TN|VG",
    25: "LY|PT", 26: "IS|TR", 27: "BI|DJ|FR|GR|IT|MC|MR|SM", 28: "AL|AZ|BY|CY|DO|GT|HN|HU|LB|NI|PL|SV",
    29: "BR|EG|PS|QA|UA", 30: "JO|KW|MU|YE", 31: "MT|SC", 32: "LC", 33: "RU",
}  # fmt: skip


def _iban(match: re.Match[str]) -> str:
    """Replace an account number if its check digits are right (ISO 7064, mod 97-10)."""
    text = match[0].replace(" ", "")
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return "[iban]" if int(number) % 97 == 1 else match[0]


def _card(match: re.Match[str]) -> str:
    """Replace a card number if its check digit is right; other numbers may stand around its groups."""
    groups = re.split("([ -])", match[0])
    for first in range(0, len(groups), 2):
        for end in range(len(groups), first, -2):
            if _is_card("".join(groups[first:end:2])):
                return "".join([*groups[:first], "[card]", *groups[end:]])
    return match[0]


def _is_card(number: str) -> bool:
    # No card begins with 0 or 1. Unix times in milli-, micro- or nanoseconds do, until 2033.
    if not 13 <= len(number) <= 19 or number[0] < "2":  # noqa: PLR2004 - ISO/IEC 7812
        return False
    doubled = (divmod(2 * int(digit), 10) for digit in number[-2::-2])
    return (sum(map(int, number[::-2])) + sum(map(sum, doubled))) % 10 == 0  # Luhn


def _basic(match: re.Match[str]) -> str:
    """Replace what reads `user:password` when decoded, not the next word of a sentence about basic things."""
    encoded = match[2].rstrip("=")
    try:
        is_pair = ":" in base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        is_pair = False
    return f"{match[1]}[token]" if is_pair else match[0]


# --- rules ---

# What may repeat is possessive (`++`), bounded, or between characters that it cannot hold: no text takes more than
# linear time.
_QUOTED = r"""(?:b|\\+)?(?:"(?:[^"\\]++|\\.)*+"?|'(?:[^'\\]++|\\.)*+'?)"""
_IS = r"""["'\\]*\s*(?:[:=]|(?<=["']),)\s*+"""
"""Between a name and its value: in JSON, a query string, a repr, a list of pairs."""
_NAMES = (
    r"(?:passw(?:or)?d\w{0,20}|passphrase|pwd|secret|token|credentials?|session[_-]?id|cv[vc]2?"
    r"|(?:api|access|secret|private|signing|encryption)[_-]?key|authorization|cookie)"
)
_NAMED = re.compile(
    rf"((?i:{_NAMES}){_IS})"
    # Neither a placeholder of SQL, nor nothing, nor what has been replaced already.
    r"(?!\$\d|(?<=\s):[a-z]|\?(?!\w)|%[(s]|(?i:null|none|true|false)\b|Secret(?:Str|Bytes)\(|\[[a-z]+\])"
    rf"[\[({{<]*(?:{_QUOTED}|[^\s\"'&,;)\]}}>]+)"
)
_HEADER = re.compile(rf"((?i:authorization|cookie){_IS})(?!\[[a-z]+\])(?:{_QUOTED}|[^\r\n]+)")
_QUOTATION = re.compile(r"(\binput_value=|\[parameters: )[^\r\n]+|(DETAIL:  ).*", re.DOTALL)
_EMAIL = re.compile(r"(?<![\w.+%-])(?:[\w.+-]|%(?!40))++(?:@|%40)(?:[\w-]++\.)+[^\W\d_]{2,}")
_CARD = re.compile(r"(?<![0-9A-Fa-f])(?<!\d\.)(?:\d{13,19}|\d{4}(?:[ -]\d{3,7}){2,5})(?![0-9A-Fa-f])(?!\.\d)", re.ASCII)
_IBAN = re.compile(
    r"(?<![0-9A-Z])(?:"
    + "|".join(rf"(?:{codes})\d\d(?: ?[0-9A-Z]){{{length - 4}}}" for length, codes in _IBAN_COUNTRIES.items())
    + r")(?![0-9A-Z])",
    re.IGNORECASE | re.ASCII,
)
_JWT = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}(?:\.[\w-]+)*", re.ASCII)
_PROSE = r"(?:tokens?|auth\w*|scheme|header|credentials?|realm|error|and|or|is)\b"
_BEARER = re.compile(rf"((?i:bearer)(?:\s|%20)++)(?!{_PROSE})[A-Za-z0-9][\w.~+/=-]*")
_BASIC = re.compile(r"((?i:basic)(?:\s|%20)++)([\w+/-]{4,}+=*)", re.ASCII)
_ACCESS_KEY = re.compile(r"\bA[KS]IA[A-Z0-9]{16}\b")  # of AWS, and of stores that speak its language
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_Replacement = str | Callable[[re.Match[str]], str]
_RULES: Sequence[tuple[str, re.Pattern[str], _Replacement]] = (
    # The first word is the trigger: the folded text, see `redact`, holds it whenever the pattern can match.
    ("privatekey", _PEM, "[secret]"),
    ("eyj", _JWT, "[jwt]"),
    ("bearer", _BEARER, r"\1[token]"),
    ("basic", _BASIC, _basic),
    ("akia", _ACCESS_KEY, "[secret]"),
    ("asia", _ACCESS_KEY, "[secret]"),
    ("@", re.compile(r"://[^\s/?#\"'<>]*@"), "://[credentials]@"),
    ("@", _EMAIL, "[email]"),
    ("%00", _EMAIL, "[email]"),
    ("00000000", _IBAN, _iban),  # all but invented account numbers have so many digits in a row
    ("0000000000000", _CARD, _card),
    ("0000-0000", _CARD, _card),
)
_RULES_OF_PAIRS: Sequence[tuple[re.Pattern[str], str]] = (
    (_HEADER, r"\1[secret]"),
    (_QUOTATION, r"\1\2[hidden]"),
    (_NAMED, r"\1[secret]"),
)
_TRIGGERS_OF_PAIRS = (
    "passw", "passphrase:", "pwd:", "secret:", "token:", "credential", "session", "cvv", "cvc", "key:",
    "authorization:", "cookie:", "inputvalue:", "[parameters:", "detail:",
)  # fmt: skip
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLD = bytes.maketrans(b"123456789=," + _LETTERS, b"000000000::" + _LETTERS.lower())


def redact(text: str) -> str:
    """Return `text` with secrets and personal data replaced by markers such as `[card]` or `[email]`."""
    if len(text) > EXAMINED_CHARACTERS:
        return redact(text[:EXAMINED_CHARACTERS])[:-_UNSURE_CHARACTERS] + "…"
    # Folded: digits are 0, letters small, `=` and `,` are `:`; blanks, quotes, underscores and backslashes are gone.
    # So a search for a word tells whether a pattern is worth trying: a text without any costs less than a microsecond.
    folded = text.encode("utf-8", "surrogatepass").translate(_FOLD, b" _\"'\\").decode("latin-1")
    for trigger, pattern, replacement in _RULES:
        if trigger in folded:
            text = pattern.sub(replacement, text)
    if ":" in folded and any(map(folded.__contains__, _TRIGGERS_OF_PAIRS)):
        for pattern, replacement in _RULES_OF_PAIRS:
            text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=1024)
def names_a_secret(name: str) -> bool:
    """Tell whether a field of this name holds a secret whatever its value looks like, such as `api_key`."""
    return re.search(rf"{_NAMES}$", name, re.IGNORECASE) is not None


# --- exceptions ---


def message_of(exc: BaseException) -> str:
    """Return what may be written of an exception's message.

    Validators and databases quote the values they complain about. Of their errors only the names are told: which rule,
    which table, which constraint. A `ValueError` quotes its value too. Other messages are redacted.
    """
    try:
        return redact(_database_message(exc) or _validation_message(exc) or _plain_message(exc))
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the exception itself
        return "<no message: __str__ failed>"


def attributes_of(exc: BaseException) -> dict[str, str]:
    """Return an exception as attributes of a span's event `exception`; the SDK's `record_exception` quotes values."""
    cls = type(exc)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return {"exception.type": name, "exception.message": message_of(exc)}


def location_of(error: Mapping[str, Any]) -> tuple[int | str, ...]:
    """Return where one error of a validation is, without the name of a field that the sender has invented."""
    location: tuple[int | str, ...] = tuple(error["loc"])
    return location[:-1] if error["type"] == "extra_forbidden" else location


def _plain_message(exc: BaseException) -> str:
    return re.sub(rf"(?<!\w){_QUOTED}", "'…'", str(exc)) if isinstance(exc, ValueError) else str(exc)


def _validation_message(exc: BaseException) -> str:
    """Return which rules pydantic, or FastAPI with its help, found broken, and where."""
    errors = getattr(exc, "errors", None)
    found = errors() if callable(errors) else ()
    told = [f"{'.'.join(map(str, location_of(error)))}: {error['type']}" for error in found[:_MAX_ITEMS]]
    return f"{len(found)} validation error(s): {', '.join(told)}" if found else ""


# What PostgreSQL says in these classes of errors names the schema or a condition; in others it quotes the value.
_QUOTE_NO_VALUE = ("08", "23", "25", "40", "42", "53", "55", "57", "58")
_RAISED_BY_A_FUNCTION = "exec_stmt_raise"  # PL/pgSQL: the text is anybody's


def _database_message(exc: BaseException) -> str:
    """Return the error of a driver, or of SQLAlchemy around it; both known by their attributes, without an import."""
    statement, inner = getattr(exc, "statement", None), getattr(exc, "orig", None)
    if isinstance(statement, str) and isinstance(inner, BaseException):
        return f"{message_of(inner)} [SQL: {' '.join(statement.split())[:_MAX_STATEMENT]}]"
    sqlstate = getattr(exc, "sqlstate", None)
    if not isinstance(sqlstate, str):
        return ""
    driver: Any = exc.__cause__ if hasattr(exc.__cause__, "constraint_name") else exc  # beneath SQLAlchemy's adapter
    told = [f"sqlstate {sqlstate}"]
    names = ((kind, getattr(driver, f"{kind}_name", None)) for kind in ("table", "column", "constraint"))
    told += [f"{kind} {name}" for kind, name in names if name]
    raised_by = getattr(driver, "server_source_function", None)
    if sqlstate.startswith(_QUOTE_NO_VALUE) and raised_by != _RAISED_BY_A_FUNCTION:
        told.append(getattr(driver, "message", None) or str(driver))
    return ", ".join(told)
