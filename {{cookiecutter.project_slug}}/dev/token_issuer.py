"""An identity provider for development: signs any token one asks for, so production settings refuse its name.

GET  /.well-known/jwks.json  the public keys
POST /token                  tenant, sub (or actor), scope, expires_in as form or JSON -> {"access_token", ...}
                             with grant_type=client_credentials: client_id and client_secret, too, of a known client
"""

import argparse
import base64
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.http_server import parser, serve

ISSUER = "urn:dev:token-issuer"
"""The `iss` of every token made here. Settings refuse it in staging and production."""
_DAY_SECONDS = 86_400


class TokenRequest(BaseModel):
    """Body of POST /token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str = Field("acme", min_length=1)
    sub: str = Field("developer", min_length=1, validation_alias=AliasChoices("sub", "actor"))
    scope: str = ""
    expires_in: int = Field(_DAY_SECONDS, ge=1, le=365 * _DAY_SECONDS)
    grant_type: Literal["client_credentials"] | None = None
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")


class SigningKey:
    """An ES256 key pair, named by its thumbprint (RFC 7638)."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        canonical = json.dumps({name: public[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).digest()
        self.kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.public_jwk = {**public, "kid": self.kid, "use": "sig", "alg": "ES256"}

    @classmethod
    def generate(cls) -> "SigningKey":
        """Return a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load_or_create(cls, path: Path) -> "SigningKey":
        """Return the key in `path`, made now if there is none, readable by its owner only."""
        if path.exists():
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            return cls(private)
        key = cls.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - the mode
            file.write(key.private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ))  # fmt: skip
        return key


class TokenIssuer:
    """Signs tokens and publishes the keys to check them with."""

    def __init__(self, key: SigningKey, *, audience: str, issuer: str = ISSUER) -> None:
        self.keys = [key]
        self.audience = audience
        self.issuer = issuer
        self.clients: dict[str, Path] = {}
        """Programs that log in with a secret: by client id, the file that has it."""
        self.jwks_url = ""  # known to whoever serves `app`

    def rotate(self, *, keep_old: bool = True) -> SigningKey:
        """Sign with a new key from now on; old keys stay published unless `keep_old` is False."""
        key = SigningKey.generate()
        self.keys = [key, *(self.keys if keep_old else [])]
        return key

    def mint(
        self,
        *,
        tenant: str = "acme",
        actor: str = "developer",
        scope: str = "",
        expires_in_seconds: int = _DAY_SECONDS,
        now: datetime | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a token. `claims` replaces single claims; None removes one."""
        issued_at = int((now or datetime.now(UTC)).timestamp())
        standard = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": actor,
            "tenant": tenant,
            "scope": scope,
            "iat": issued_at,
            "exp": issued_at + expires_in_seconds,
        }
        payload = {name: value for name, value in {**standard, **(claims or {})}.items() if value is not None}
        # Signed as bytes: `jwt.encode` would refuse the nonsense that tests need.
        key = self.keys[0]
        return jwt.PyJWS().encode(json.dumps(payload).encode(), key.private, "ES256", {"kid": key.kid, "typ": "JWT"})

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(
            routes=[
                Route("/.well-known/jwks.json", self._jwks, methods=["GET"]),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [key.public_jwk for key in self.keys]})

    async def _token(self, request: Request) -> Response:
        body = (await request.body()).decode(errors="replace")
        is_json = request.headers.get("content-type", "").startswith("application/json")
        try:
            asked = TokenRequest.model_validate(json.loads(body) if is_json else dict(parse_qsl(body)))
        except (ValidationError, ValueError) as exc:
            return JSONResponse({"error": "invalid_request", "error_description": str(exc)}, 400)
        if asked.grant_type and not self._knows(asked):
            return JSONResponse({"error": "invalid_client"}, 401)
        actor = asked.client_id if asked.grant_type else asked.sub
        token = self.mint(tenant=asked.tenant, actor=actor, scope=asked.scope, expires_in_seconds=asked.expires_in)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": asked.expires_in, "scope": asked.scope}
        )

    def _knows(self, asked: TokenRequest) -> bool:
        file = self.clients.get(asked.client_id)
        return file is not None and asked.client_secret.get_secret_value() == file.read_text().strip()


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__, port=8003)
    arguments.add_argument("--audience", required=True, help="the service that the tokens are for")
    arguments.add_argument("--key", type=Path, default=Path(".dev/token_issuer.pem"), help="made when missing")
    arguments.add_argument(
        "--client", nargs=2, action="append", default=[], metavar=("ID", "FILE"), help="a program, and its secret"
    )
    return arguments.parse_args()


if __name__ == "__main__":
    given = _arguments()
    issuer = TokenIssuer(SigningKey.load_or_create(given.key), audience=given.audience)
    issuer.clients = {name: Path(file) for name, file in given.client}
    serve(issuer.app(), port=given.port)
