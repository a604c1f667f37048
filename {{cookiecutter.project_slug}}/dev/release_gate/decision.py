"""May a release go out? The policy, applied to what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from dev.ops.slos import Slos
from dev.release_gate.measured import Idle, Level, Measured, Measurement, Unknown
from dev.release_gate.policy import Policy


class Verdict(IntEnum):
    """Also the exit status."""

    ALLOWED = 0
    FROZEN = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """One level, as the output shows it."""

    level: str
    verdict: str
    why: str
    percent_left: float | None = None
    burn: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says."""

    verdict: Verdict
    why: str
    levels: Sequence[Judged] = ()


def decide(measurement: Measurement, levels: Slos, policy: Policy, reason: str | None = None) -> Decision:
    """Return the decision. A level that is known to freeze does so whatever is unknown of others."""
    judged = [_judge(name, level, levels, policy) for name, level in measurement.levels.items()]

    def those(*verdicts: str) -> str:
        return ", ".join(level.level for level in judged if level.verdict in verdicts)

    frozen, unknown, caution = those("frozen"), those("unknown"), those("caution")
    if frozen and reason is None:
        return Decision(Verdict.FROZEN, f"frozen by {frozen}", judged)
    if measurement.blind or unknown:
        return Decision(Verdict.UNKNOWN, measurement.blind or f"nothing is known of {unknown}", judged)
    if not those("ok", "caution", "frozen"):
        return Decision(Verdict.UNKNOWN, "nothing has happened that could be judged", judged)
    if frozen and reason is not None:
        return Decision(Verdict.ALLOWED, f"frozen by {frozen}, and let through: {policy.exceptions[reason]}", judged)
    why = f"small and reversible changes only, because of {caution}" if caution else "every level has budget left"
    return Decision(Verdict.ALLOWED, why, judged)


def _judge(name: str, level: Level, levels: Slos, policy: Policy) -> Judged:
    match level:
        case Unknown():
            return Judged(name, "unknown", level.why)
        case Idle():
            return Judged(name, "idle", level.why)
    burn = {window: burn.times for window, burn in level.burn.items()}
    verdict, why = _verdict(level, levels.slos[name].min_bad_events, policy)
    return Judged(name, verdict, why, level.percent_left, burn)


def _verdict(level: Measured, min_bad_events: int, policy: Policy) -> tuple[str, str]:
    if level.percent_left <= policy.freeze.percent_left:
        return "frozen", "the budget is spent"
    for window, limit in policy.freeze.burn.items():
        burn = level.burn[window]
        if burn.times >= limit and burn.bad_events >= min_bad_events:
            return "frozen", f"over {window} the budget was spent {burn.times:.1f} times too fast"
    if level.percent_left <= policy.caution.percent_left:
        return "caution", f"no more than {policy.caution.percent_left:g} % of the budget is left"
    return "ok", ""
