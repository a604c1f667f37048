"""Turns the text of a token into a principal, or refuses it."""

import hashlib
import hmac
import math
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from app.kit.clock import Clock
from app.kit.redaction import redact

from .errors import Reason, Unauthenticated
from .keys import KeySet
from .settings import AuthenticationSettings

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")  # printable and without spaces: it goes into logs and headers
_MAX_KID_LENGTH = 256
_REFUSALS: Mapping[type[jwt.PyJWTError], tuple[str, Reason]] = {
    jwt.InvalidSignatureError: ("The token's signature does not match.", "signature"),
    jwt.InvalidAudienceError: ("The token is not meant for this service.", "audience"),
    jwt.InvalidIssuerError: ("The token comes from another issuer.", "issuer"),
    jwt.exceptions.InvalidSubjectError: ("The token names no valid subject.", "claims"),
    jwt.MissingRequiredClaimError: ("The token lacks a required claim: iss, aud, sub or exp.", "claims"),
    jwt.PyJWTError: ("The token is malformed.", "malformed"),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, for which tenant, and what they may do."""

    actor: str
    """The token's subject, or a pseudonym for one that tells who the person is: safe for logs, spans and events."""
    tenant: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    kid: str
    key: jwt.PyJWK
    expires_at: float


class TokenVerifier:
    """Checks everything that RFC 8725 asks for; what it returns can be trusted."""

    def __init__(self, settings: AuthenticationSettings, client: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = KeySet(settings, client=client, clock=clock)
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        key = settings.pseudonym_key
        self._pseudonym_key = key.get_secret_value().encode() if key else secrets.token_bytes(32)

    async def verify(self, token: str) -> Principal:
        """Return the principal that `token` proves.

        Raises:
            Unauthenticated: the token breaks a rule.
            KeysUnavailable: no key can be had to check it with.
        """
        if len(token) > self._settings.max_token_bytes:
            raise Unauthenticated("The token is too long.", "malformed")
        # Verified tokens are kept by digest, so that a memory dump holds no usable token.
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        seen = self._verified.get(digest)
        if seen is not None and await self._keys.get(seen.kid) is seen.key:
            _check_not_expired(seen.expires_at, self._now(), self._settings.leeway_seconds)
            self._verified.move_to_end(digest)
            return seen.principal
        kid = _key_id(token, self._settings)
        key = await self._keys.get(kid)
        claims = self._decode(token, key)
        verified = _Verified(self._principal(claims), kid, key, self._check_times(claims))
        self._remember(digest, verified)
        return verified.principal

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,  # bound to its own algorithm, so the token's header cannot choose another
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "enforce_minimum_key_length": True,
                    # The library reads the machine's clock; ours is checked in `_check_times`.
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
        except jwt.PyJWTError as exc:
            raise _refusal(exc) from exc
        except (ValueError, RecursionError) as exc:  # numbers with 5000 digits, nesting without end
            raise Unauthenticated("The token is malformed.", "malformed") from exc

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        tenant, subject, scope = claims.get("tenant"), claims.get("sub"), claims.get("scope", "")
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise Unauthenticated("The token names no valid tenant.", "claims")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise Unauthenticated("The token names no valid subject.", "claims")
        if not isinstance(scope, str):
            raise Unauthenticated("The token's scope is malformed.", "claims")
        return Principal(actor=self._actor(subject), tenant=tenant, scopes=frozenset(scope.split()))

    def _actor(self, subject: str) -> str:
        if redact(subject) == subject:
            return subject
        # Some issuers use e-mail addresses. A digest without a key could be found by trying addresses.
        return hmac.digest(self._pseudonym_key, subject.encode(), "sha256").hex()[:32]

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now, leeway = self._now(), self._settings.leeway_seconds
        expires_at = _seconds(claims["exp"])
        _check_not_expired(expires_at, now, leeway)
        for claim in ("nbf", "iat"):
            if claim in claims and _seconds(claims[claim]) > now + leeway:
                raise Unauthenticated("The token is not valid yet.", "not_yet_valid")
        return expires_at

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        while len(self._verified) > self._settings.verified_tokens:
            self._verified.popitem(last=False)


def _key_id(token: str, settings: AuthenticationSettings) -> str:
    """Return which key the token says it was signed with, after a look at its unproven header."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise Unauthenticated("The token is malformed.", "malformed") from exc
    if header.get("alg") not in settings.algorithms:
        raise Unauthenticated("The token's signature algorithm is not accepted.", "algorithm")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_LENGTH:
        raise Unauthenticated("The token does not name its key.", "unknown_key")
    return kid


def _check_not_expired(expires_at: float, now: float, leeway: float) -> None:
    if expires_at <= now - leeway:
        raise Unauthenticated("The token has expired.", "expired")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("The token's times are malformed.", "claims")
    try:
        seconds = float(value)
    except OverflowError as exc:
        raise Unauthenticated("The token's times are malformed.", "claims") from exc
    if not math.isfinite(seconds):
        raise Unauthenticated("The token's times are malformed.", "claims")
    return seconds


def _refusal(exc: jwt.PyJWTError) -> Unauthenticated:
    return Unauthenticated(*next(_REFUSALS[cls] for cls in type(exc).__mro__ if cls in _REFUSALS))
