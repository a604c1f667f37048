"""ops/alerts.yaml, read and checked: every alert says what is wrong, for whom, and what to do first."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dev.environment import ROOT
from dev.ops.durations import Duration, seconds
from dev.ops.lines import Document, Place
from dev.ops.parts import Name, Part, Sentence
from dev.ops.selectors import declare_all, mistakes
from dev.ops.slos import Slos

SOURCE = ROOT / "ops" / "alerts.yaml"
KEEP_FIRING = "5m"
"""How long a page stays after its reason has gone: it does not end and begin again with every lull."""
AlertName = Annotated[str, StringConstraints(pattern=r"^([A-Z][a-z0-9]+)+$")]
Dashboard = Literal["service", "slo", "dependencies", "events", "database", "telemetry"]
Owner = Literal["service", "platform", "security"]
_VALUE = re.compile(r"\$(?!value|labels|externalLabels)([a-z_]+)")


class Example(Part):
    """Series, and what comes of them."""

    given: dict[str, str] = Field(min_length=1)
    fires: str
    """After how long, or `never`."""
    ends: str | None = None

    def moment(self, which: Literal["fires", "ends"]) -> int | None:
        """Return the seconds after which it fires or ends; None for never."""
        said = getattr(self, which)
        return None if said in (None, "never") else _seconds(said)

    @property
    def steps(self) -> int:
        """After how many steps the longest of its series has its last sample."""
        samples = (sum(int(part.rpartition("x")[2]) + 1 for part in each.split()) for each in self.given.values())
        return max(samples) - 1


class Alert(Part):
    """One of them."""

    severity: Literal["page", "ticket", "security", "heartbeat"]
    owner: Owner
    impact: Sentence | None = None
    expr: str
    values: Mapping[str, float | Duration] = Field(default_factory=dict)
    for_: Duration | None = Field(None, alias="for")
    summary: Sentence
    first_step: Sentence
    dashboard: Dashboard
    every: Literal["30s", "5m"] = "30s"
    """Between two samples of its examples; the longer one is for days."""
    inhibits: tuple[AlertName, ...] = Field((), strict=False)
    inhibits_levels: tuple[Name, ...] = Field((), strict=False)
    deploy_sensitive: bool = False
    examples: tuple[Example, ...] = Field(min_length=1, strict=False)

    @property
    def keep_firing_for(self) -> str | None:
        """How long it stays after its reason has gone."""
        return KEEP_FIRING if self.severity == "page" else None

    def expression(self, *, scale: float = 1.0) -> str:
        """Return the expression with its values; those that are times are multiplied by `scale`."""
        return self._filled(self.expr, scale)

    def _filled(self, text: str, scale: float) -> str:
        def value(match: re.Match[str]) -> str:
            given = self.values[match[1]]
            return f"{seconds(given) * scale if isinstance(given, str) else given:.12g}"

        return _VALUE.sub(value, text)


class Alerts(Part):
    """All of them."""

    alerts: dict[AlertName, Alert] = Field(min_length=1)


def read(levels: Slos, document: Document | None = None) -> Alerts:
    """Return the alerts.

    Raises:
        BadSource: with the line and the reason of each mistake.
    """
    return (document or Document(SOURCE)).read(Alerts, lambda found: _mistakes(found, levels))


def _mistakes(found: Alerts, levels: Slos) -> Iterator[tuple[Place, str]]:
    declare_all()
    for name, alert in found.alerts.items():
        at = ("alerts", name)
        if alert.severity == "page" and not alert.impact:
            yield (*at, "severity"), "a page says in `impact` what users notice; what they do not notice is a ticket"
        if alert.deploy_sensitive and alert.severity != "ticket":
            yield (*at, "deploy_sensitive"), f"a deployment never silences a {alert.severity}"
        yield from _wrong_expression(at, alert)
        for key, names, known in (
            ("inhibits", alert.inhibits, found.alerts.keys()),
            ("inhibits_levels", alert.inhibits_levels, levels.slos.keys()),
        ):
            for index, other in enumerate(names):
                if other not in known:
                    yield (*at, key, index), f"there is no {'alert' if key == 'inhibits' else 'service level'} {other}"
        yield from _wrong_examples((*at, "examples"), alert)


def _wrong_expression(at: Place, alert: Alert) -> Iterator[tuple[Place, str]]:
    used = set(_VALUE.findall(alert.expr))
    for unknown in sorted(used - alert.values.keys()):
        yield (*at, "expr"), f"${unknown} is none of its values: {', '.join(alert.values) or 'there are none'}"
    for idle in sorted(alert.values.keys() - used):
        yield (*at, "values", idle), "its expression does not use it"
    if used <= alert.values.keys():
        for why in mistakes(alert.expression()):
            yield (*at, "expr"), why


def _wrong_examples(at: Place, alert: Alert) -> Iterator[tuple[Place, str]]:
    if all(example.fires == "never" for example in alert.examples):
        yield at, "none of them fires, so nothing shows that it can"
    for index, example in enumerate(alert.examples):
        if example.fires == "never" and example.steps * seconds(alert.every) < 2 * seconds(alert.for_ or "5m"):
            yield (
                (*at, index, "fires"),
                f"too few samples to show that it never does: they end after {example.steps} steps",
            )
        for which in ("fires", "ends"):
            said = getattr(example, which)
            if said not in (None, "never") and not re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?", said):
                yield (*at, index, which), f"{said!r} is neither a duration, such as 1m30s, nor never"


def _seconds(said: str) -> int:
    return sum(seconds(part) for part in re.findall(r"\d+[smhd]", said))
