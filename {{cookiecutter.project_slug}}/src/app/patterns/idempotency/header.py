"""The header: what a key looks like, and how it is described."""

import re
from collections.abc import Sequence
from typing import Any

from .errors import IdempotencyKeyInvalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_LENGTH = 255
# A string of RFC 8941, as the draft wants it, or the bare text that most clients send: visible ASCII without `"`, `,`
# and `\`. A comma is where proxies join two headers of one name.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-+\--\[\]-~]+")
_ESCAPED = re.compile(r"\\(.)")

DESCRIBED: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Names this request, such as a UUID: sent again under the same key it is done once, and "
            f"answered as before with `{REPLAYED}: true`. 409 while the first one is being worked on, 422 for a key "
            "that belongs to another request. With quotes or without.",
            "schema": {"type": "string", "pattern": r'^(?:[!#-+\--\[\]-~]{1,255}|"[ !#-\[\]-~]{1,255}")$'},
        }
    ]
}
"""The part of a route's description that offers the header: `openapi_extra=DESCRIBED`."""


def parse(values: Sequence[bytes]) -> str:
    """Return the key; `"abc"` and `abc` are the same one.

    Raises:
        IdempotencyKeyInvalid: there is none, more than one, or what there is cannot be one.
    """
    if len(values) != 1:
        raise IdempotencyKeyInvalid(f"The request carries more than one header {HEADER}.")
    sent = values[0].decode("latin-1").strip(" \t")
    if quoted := _QUOTED.fullmatch(sent):
        key = _ESCAPED.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(sent):
        key = sent
    else:
        raise IdempotencyKeyInvalid(f"{HEADER} must be visible ASCII, or a quoted string of it.")
    if len(key) > MAX_LENGTH:
        raise IdempotencyKeyInvalid(f"{HEADER} may have at most {MAX_LENGTH} characters.")
    return key
