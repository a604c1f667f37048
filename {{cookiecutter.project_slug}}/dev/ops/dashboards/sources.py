"""Where lines on panels come from: the thresholds of alerts and service levels, which are written once."""

from dataclasses import dataclass

from dev.ops.alerts import Alerts
from dev.ops.dashboards.model import Line
from dev.ops.durations import seconds
from dev.ops.slos import Slos


@dataclass(frozen=True, slots=True)
class Sources:
    """What has been written in ops/."""

    alerts: Alerts
    levels: Slos

    def line(self, alert: str, value: str) -> Line:
        """Return the threshold of an alert: one of its values."""
        found = self.alerts.alerts[alert]
        at = found.values[value]
        urgent = found.severity in ("page", "security")
        return Line(seconds(at) if isinstance(at, str) else float(at), "page" if urgent else "ticket")

    def promised(self, level: str) -> Line:
        """Return how long something may take."""
        within = self.levels.slos[level].within_seconds
        if within is None:
            raise ValueError(f"{level} says nothing of time")
        return Line(within, "promise")
