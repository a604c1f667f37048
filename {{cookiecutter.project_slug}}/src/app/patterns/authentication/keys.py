"""The issuer's public keys: fetched when needed, kept while they are good, and never fetched on an attacker's order."""

import asyncio
import math

import httpx
import structlog
from jwt import PyJWK, PyJWTError

from app.kit.clock import Clock

from .errors import KeysUnavailable, Unauthenticated
from .settings import AuthenticationSettings

_log = structlog.get_logger(__name__)


class KeySet:
    """Keys by their id.

    Fresh keys answer at once. Stale ones are fetched again by one caller, while the others go on with what is known.
    An unknown id may be a rotation, so it causes a fetch too, but attempts are `jwks_cooldown_seconds` apart: a flood
    of invented ids costs the issuer one request per cooldown.
    """

    def __init__(self, settings: AuthenticationSettings, *, client: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._attempted_at = -math.inf
        self._fetching = asyncio.Lock()

    async def get(self, kid: str) -> PyJWK:
        """Return the key named `kid`.

        Raises:
            Unauthenticated: the issuer does not publish such a key.
            KeysUnavailable: no keys are known, or they are older than `jwks_stale_seconds`.
        """
        key = self._keys.get(kid)
        age = self._age()
        if key is not None and age < self._settings.jwks_cache_seconds:
            return key
        may_wait = key is None or age >= self._settings.jwks_stale_seconds
        if may_wait or not self._fetching.locked():
            await self._refresh()  # whoever waits here for another's fetch shares its answer
        return self._known(kid)

    def _known(self, kid: str) -> PyJWK:
        if self._age() >= self._settings.jwks_stale_seconds:
            seconds = max(1, math.ceil(self._settings.jwks_cooldown_seconds))
            raise KeysUnavailable("Tokens cannot be verified at the moment.", retry_after_seconds=seconds)
        key = self._keys.get(kid)
        if key is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not publish.", "unknown_key")
        return key

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._clock.monotonic() - self._attempted_at < self._settings.jwks_cooldown_seconds:
                return
            self._attempted_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._settings.jwks_timeout_seconds):
                    response = await self._client.get(self._settings.jwks_url)
                response.raise_for_status()
                keys = _parse(response.json(), self._settings)
            except (httpx.HTTPError, TimeoutError, ValueError) as exc:
                _log.warning("authentication.keys_fetch_failed", reason=type(exc).__name__, known=len(self._keys))
                return
            if set(keys) != set(self._keys):
                _log.info("authentication.keys_changed", kids=sorted(keys))
            self._keys = keys  # as a whole: a key that is no longer published is no longer good
            self._fetched_at = self._clock.monotonic()


def _parse(document: object, settings: AuthenticationSettings) -> dict[str, PyJWK]:
    """Return the usable signing keys; what is malformed, secret (`oct`) or for encryption is passed over."""
    entries = document.get("keys") if isinstance(document, dict) else None
    keys = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = PyJWK.from_dict(entry)
        except PyJWTError:
            continue
        if key.algorithm_name in settings.algorithms:
            keys[entry["kid"]] = key
    if not keys:
        raise ValueError("the document holds no usable key")
    return keys
