"""The answers. They come from what is in memory: whatever the server does, nobody here waits for it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog
from opentelemetry import trace

from app.kit.clock import Clock, SystemClock
from app.kit.context import current
from app.kit.spans import current_span_context

from . import telemetry
from .files import read
from .polling import Polling
from .registry import OFF, ON, Experiment, Flag, Switch
from .rules import Context, Rules
from .settings import FeatureFlagSettings

_log = structlog.get_logger(__name__)


class UnregisteredFlag(Exception):
    """Somebody asked for a flag that the process was not told of: a mistake in the code."""


class FeatureFlags:
    """All flags of a process."""

    def __init__(
        self,
        registered: Iterable[Flag],
        settings: FeatureFlagSettings,
        *,
        service: str,
        env: str,
        clock: Clock | None = None,
    ) -> None:
        """Read the rules that are on disk."""
        self._registered: dict[str, Flag] = {}
        for flag in registered:
            if flag.name in self._registered:
                raise ValueError(f"two flags are named {flag.name}")
            self._registered[flag.name] = flag
            for answer in flag.answers:
                telemetry.EVALUATIONS.labels(flag.name, answer)  # its series exists before rate() is asked
        self._settings = settings
        self._clock = clock or SystemClock()
        self._service, self._env = service, env
        self._rules: Rules | None = None
        self._restore()

    def is_on(self, switch: Switch) -> bool:
        """Return whether `switch` is on for the work in hand."""
        self._require(switch)
        answer = self._rules.switch(switch, self._context()) if self._rules else None
        return self._exposed(switch, answer or (ON if switch.default else OFF)) == ON

    def variant(self, experiment: Experiment) -> str:
        """Return the variant of the work in hand."""
        self._require(experiment)
        answer = self._rules.variant(experiment, self._context()) if self._rules else None
        return self._exposed(experiment, answer or experiment.default)

    async def poll(self, client: httpx.AsyncClient) -> None:
        """Ask the server until cancelled."""
        await Polling(
            self._settings,
            client=client,
            clock=self._clock,
            service=self._service,
            use=self._fetched,
            cache=self._cache,
        ).run()

    def _require(self, flag: Flag) -> None:
        if self._registered.get(flag.name) is not flag:
            raise UnregisteredFlag(f"{flag.name} is not registered: add it to the flags of its domain")

    def _context(self) -> Context:
        """Return what rules may ask about. It stays in this process; ids are hashed, so that no rule holds one."""
        work = current()
        known: dict[str, object] = {"appName": self._service, "environment": self._env}
        if work.actor:
            known["userId"] = hashlib.sha256(work.actor.encode()).hexdigest()[:32]
        if work.tenant:
            known["properties"] = {"tenant": work.tenant}
        return known

    def _exposed(self, flag: Flag, answer: str) -> str:
        """Write down what was answered: on the metric, on the line of the request and on the span in hand."""
        telemetry.EVALUATIONS.labels(flag.name, answer).inc()
        tally = current().tally
        if tally.flags is None:
            tally.flags = {}
        if tally.flags.get(flag.name) != answer:
            tally.flags[flag.name] = answer
            if current_span_context().trace_flags.sampled:
                attributes = {"feature_flag.key": flag.name, "feature_flag.result.variant": answer}
                trace.get_current_span().add_event("feature_flag.evaluation", attributes)
        return answer

    def _restore(self) -> None:
        known, source = (read(self._cache, "cache") if self._cache else None), "cache"
        if known is None and self._settings.bootstrap_file:
            known, source = read(self._settings.bootstrap_file, "bootstrap"), "bootstrap"
        if self._settings.url:
            now = self._clock.now().timestamp()
            # Never in the future: where the clock was wrong, a file of then would hide how old it is.
            telemetry.LAST_FETCH.set(min(known[1], now) if known and source == "cache" else now)
        if known:
            self._take(known[0], source)

    def _fetched(self, rules: Rules) -> None:
        self._take(rules, "server")
        if unknown := sorted(self._registered.keys() - rules.names):
            # A switch that has another name there cannot be thrown in an incident.
            _log.warning("feature_flags.unknown_to_server", names=unknown)

    def _take(self, rules: Rules, source: str) -> None:
        self._rules = rules
        _log.info("feature_flags.rules_taken", source=source, flags=len(rules.names))

    @property
    def _cache(self) -> Path | None:
        folder = self._settings.cache_folder
        return folder / f"feature_flags-{self._service}-{self._env}.json" if folder else None


@asynccontextmanager
async def running(flags: FeatureFlags, settings: FeatureFlagSettings) -> AsyncIterator[FeatureFlags]:
    """Keep `flags` up to date until the block ends, where there is a server. Nothing waits for its first answer."""
    if not settings.url:
        yield flags
        return
    # With connections of its own: the switch that stops calls to others must arrive while all others hang.
    async with httpx.AsyncClient(timeout=settings.timeout_seconds) as client:
        polling = asyncio.create_task(flags.poll(client), name="feature-flags")
        try:
            yield flags
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
