"""An issuer's key server over a socket, and tokens of every kind, good and forged."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import jwt
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.kit.clock import ManualClock
from app.patterns.authentication import AuthenticationSettings
from dev.http_server import serving
from dev.token_issuer import SigningKey, TokenIssuer

AUDIENCE = "orders-test"
CLOCK_START = ManualClock().now()


class KeyServer:
    """The development issuer behind a socket, counting the fetches of its keys; it can be made to answer otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        """Forget everything, the signing key included."""
        self.issuer = TokenIssuer(SigningKey.generate(), audience=AUDIENCE)
        self.fetches = 0
        self.answers_instead: tuple[int, bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and answer."""
        self.fetches += scope["type"] == "http"  # the server itself sends `lifespan` first
        if self.answers_instead is None:
            await self.issuer.app()(scope, receive, send)
        else:
            status, body = self.answers_instead
            await Response(body, status)(scope, receive, send)


@contextmanager
def serving_keys() -> Iterator[KeyServer]:
    """Yield a key server that listens until the block ends."""
    server = KeyServer()
    with serving(server) as url:
        server.url = f"{url}/.well-known/jwks.json"
        yield server


def settings_for(keys: KeyServer, **changes: object) -> AuthenticationSettings:
    """Return the default settings for `keys`, with changes."""
    return AuthenticationSettings.model_validate(
        {"issuer": keys.issuer.issuer, "audience": AUDIENCE, "jwks_url": keys.url, **changes}
    )


def mint(issuer: TokenIssuer, **claims: object) -> str:
    """Return a good token at the start of the manual clock, with single claims replaced or (None) removed."""
    return issuer.mint(scope="orders:read orders:write", now=CLOCK_START, expires_in_seconds=600, claims=claims)


def forge(issuer: TokenIssuer, header: Mapping[str, Any], *, signature: bytes = b"") -> str:
    """Return a token with a good payload under a header and a signature of the attacker's choice."""
    payload = mint(issuer).split(".")[1]
    return f"{encoded(json.dumps(header).encode())}.{payload}.{encoded(signature)}"


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def good_claims(issuer: TokenIssuer) -> dict[str, Any]:
    """Return the claims of a good token."""
    claims: dict[str, Any] = jwt.decode(mint(issuer), options={"verify_signature": False})
    return claims


def at(seconds: float) -> int:
    """Return the Unix time `seconds` after the start of the manual clock."""
    return int((CLOCK_START + timedelta(seconds=seconds)).timestamp())
