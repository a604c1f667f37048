"""The task that asks the flag server for new rules. Nobody waits for it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import structlog

from app.kit.clock import Clock

from . import telemetry
from .files import keep
from .rules import MalformedRules, Rules
from .settings import FeatureFlagSettings

_SPECIFICATION = "5.2.0"  # of Unleash's clients: with it, the server sends segments beside the flags
_MOST_BYTES = 8 * 1024 * 1024  # more than ten thousand flags; an answer without end must not fill the memory
_log = structlog.get_logger(__name__)


class FetchFailed(Exception):
    """No usable answer came."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Polling:
    """Asks all the time, passes on what is new, and keeps it in `cache`."""

    def __init__(
        self,
        settings: FeatureFlagSettings,
        *,
        client: httpx.AsyncClient,
        clock: Clock,
        service: str,
        use: Callable[[Rules], None],
        cache: Path | None,
    ) -> None:
        self._settings = settings
        self._url = f"{settings.url or ''}".rstrip("/") + "/client/features"
        self._client = client
        self._clock = clock
        self._use = use
        self._cache = cache
        self._headers = {"Unleash-AppName": service, "Unleash-Client-Spec": _SPECIFICATION}
        if settings.token:
            self._headers["Authorization"] = settings.token.get_secret_value()
        self._etag = self._document = ""
        self._failing = ""
        """Why the last question failed; told when that changes, and not each time."""

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask()
            await self._clock.sleep(self._settings.poll_seconds)

    async def ask(self) -> None:
        """Ask once; a failure is told, and changes nothing."""
        try:
            changed = await self._fetch()
        except Exception as exc:  # noqa: BLE001 - a bug must not end this task: no switch would arrive any more
            reason = exc.reason if isinstance(exc, FetchFailed) else "crashed"
            telemetry.FETCHES.labels(reason).inc()
            if self._failing != reason:
                _log.warning("feature_flags.fetch_failed", reason=reason, exc_info=reason == "crashed")
            self._failing = reason
            return
        telemetry.FETCHES.labels("changed" if changed else "unchanged").inc()
        telemetry.LAST_FETCH.set(self._clock.now().timestamp())
        if self._failing:
            _log.info("feature_flags.fetched_again", reason=self._failing)
        self._failing = ""
        if self._cache:
            await self._keep(self._cache, changed=changed)

    async def _fetch(self) -> bool:
        headers = {**self._headers, "If-None-Match": self._etag} if self._etag else self._headers
        try:
            # httpx limits each step; a server that sends a byte now and then would hold it for ever.
            async with (
                asyncio.timeout(self._settings.timeout_seconds),
                self._client.stream("GET", self._url, headers=headers) as response,
            ):
                body = await _read(response)
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise FetchFailed("timeout") from exc
        except httpx.DecodingError as exc:
            raise FetchFailed("malformed") from exc
        except httpx.RequestError as exc:
            raise FetchFailed("unreachable") from exc
        if response.status_code == httpx.codes.NOT_MODIFIED and self._etag:
            return False
        if response.status_code != httpx.codes.OK:
            raise FetchFailed("refused")
        try:
            document = body.decode()
            # A proxy may have taken the ETag away. Nothing is not what was there before the first answer.
            changed = document != self._document or not document
            if changed:
                # In a thread: of a thousand flags this takes 30 ms, and requests would wait.
                self._use(await asyncio.to_thread(Rules, document))
        except (MalformedRules, UnicodeDecodeError) as exc:
            raise FetchFailed("malformed") from exc
        self._document, self._etag = document, response.headers.get("etag", "")
        return changed

    async def _keep(self, cache: Path, *, changed: bool) -> None:
        try:
            # Off the event loop, and not for ever: a disk that hangs must hold neither requests nor the next question.
            async with asyncio.timeout(self._settings.timeout_seconds):
                await asyncio.to_thread(keep, cache, self._document, changed=changed)
        except TimeoutError:
            _log.warning("feature_flags.cache_not_written", reason="TimeoutError")


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_BYTES:
            raise FetchFailed("malformed")
    return bytes(body)
