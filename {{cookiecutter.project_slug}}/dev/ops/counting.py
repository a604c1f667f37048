"""Events and bad events of a service level as PromQL: rules, exports and canaries ask for the same."""

from collections.abc import Mapping

from dev.ops.slos import Slo


def events(slo: Slo, window: str, *, pods: str = "") -> str:
    """Return the number of events within a window, by service; of some instances only, if `pods` matches theirs."""
    return _increase(slo.events.counter, slo.events.where, _of(pods), window)


def bad_events(slo: Slo, window: str, *, pods: str = "") -> str:
    """Return the number of bad ones."""
    if slo.within_seconds is None:
        bad = _increase(slo.events.counter, slo.events.where, {**slo.bad, **_of(pods)}, window)
        return f"({bad} or 0 * {events(slo, window, pods=pods)})"  # where nothing was ever bad there is no series
    bucket = {**slo.events.where, "le": str(slo.within_seconds)}
    good = _increase(f"{slo.events.metric}_bucket", bucket, _of(pods), window)
    return f"({events(slo, window, pods=pods)} - {good})"


def _of(pods: str) -> Mapping[str, str]:
    return {"instance": pods} if pods else {}


def _increase(metric: str, equal: Mapping[str, str], matching: Mapping[str, str], window: str) -> str:
    selectors = [f'{label}="{value}"' for label, value in equal.items()]
    selectors += [f'{label}=~"{value}"' for label, value in matching.items()]
    chosen = f"{{{', '.join(selectors)}}}" if selectors else ""
    return f"sum by (service) (increase({metric}{chosen}[{window}]))"
