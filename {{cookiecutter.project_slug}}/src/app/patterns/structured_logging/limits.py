"""Which lines are worth writing. What must be kept, such as an error, is not asked about here."""

import random
import time
from collections.abc import Callable

from app.kit.spans import current_span_context

from .settings import LoggingSettings

# The bits and the comparison of OpenTelemetry's TraceIdRatioBased: what is traced at a lower ratio is in the log at a
# higher one, and services that log the same share log the same requests.
_LOW_64_BITS = (1 << 64) - 1


class TokenBuckets:
    """Each event may write `burst` lines at once, and `rate_per_second` in the long run."""

    def __init__(self, settings: LoggingSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = settings.rate_per_second
        self._burst = float(settings.burst)
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, event: str) -> bool:
        """Take a token from the bucket of `event`; False when it is empty."""
        now = self._monotonic()
        tokens, filled_at = self._buckets.get(event, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled_at) * self._rate)
        granted = tokens >= 1
        self._buckets[event] = (tokens - granted, now)
        return granted


class RequestSampling:
    """Keeps a share of an endpoint's lines: by trace id, so that one trace is kept by all services or by none."""

    def __init__(self, settings: LoggingSettings) -> None:
        self.slow_seconds = settings.slow_request_seconds
        """A request that takes longer is written anyway."""
        self._default = settings.request_ratio
        self._shares = {tuple(endpoint.split(" ", 1)): share for endpoint, share in settings.request_ratios.items()}
        self.drops = self._default < 1 or bool(self._shares)
        """Whether any line is dropped by its ratio."""

    def share(self, method: str, route: str, seconds: float) -> float:
        """Return the share of this endpoint's lines that are kept by ratio, or 0 when this one is not among them.

        A line that is kept for its duration or its trace alone stands for itself, as all do where nothing is dropped:
        its share is 1.
        """
        share = self._shares.get((method, route), self._default)
        if share >= 1 or seconds >= self.slow_seconds:
            return 1
        span = current_span_context()
        drawn = span.trace_id & _LOW_64_BITS if span.is_valid else random.getrandbits(64)
        if drawn < round(share * (_LOW_64_BITS + 1)):
            return share
        return float(span.trace_flags.sampled)
