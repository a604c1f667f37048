"""Events and bad events of a service level as PromQL: rules, exports and canaries ask for the same."""

from collections.abc import Mapping

from dev.ops.slos import Slo


def events(slo: Slo, window: str, **of: str) -> str:
    """Return the number of events within a window, by service; of targets only whose labels match `of`."""
    return _increase(slo.events.counter, slo.events.where, of, window)


def bad_events(slo: Slo, window: str, **of: str) -> str:
    """Return the number of bad ones."""
    if slo.within_seconds is None:
        bad = _increase(slo.events.counter, slo.events.where, {**slo.bad, **of}, window)
        return f"({bad} or 0 * {events(slo, window, **of)})"  # where nothing was ever bad there is no series
    bucket = {**slo.events.where, "le": str(slo.within_seconds)}
    good = _increase(f"{slo.events.metric}_bucket", bucket, of, window)
    return f"({events(slo, window, **of)} - {good})"


def _increase(metric: str, equal: Mapping[str, str], matching: Mapping[str, str], window: str) -> str:
    selectors = [f'{label}="{value}"' for label, value in equal.items()]
    selectors += [f'{label}=~"{value}"' for label, value in matching.items()]
    chosen = f"{{{', '.join(selectors)}}}" if selectors else ""
    return f"sum by (service) (increase({metric}{chosen}[{window}]))"
