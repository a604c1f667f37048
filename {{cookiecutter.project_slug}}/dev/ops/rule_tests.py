"""What promtool shall find true of the rules. Expectations come from arithmetic on the service levels, not from rules.

Two layers: counters become ratios, over hours; and ratios become alerts, over days, where the ratios are those of an
outage that begins at a known moment. With a share e of bad events from then on, a window w that began at 0 holds
e * t / w after t, so a burn rate f with budget b is reached after f * b / e * w, and alerts after `for` more.
When the outage is over, the same holds the other way round.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from dev.ops.alerts import KEEP_FIRING
from dev.ops.durations import seconds, written
from dev.ops.rules import HEAD, burn_alert, dump, windows
from dev.ops.slos import BurnRate, Slo, Slos

_STEPS = (60, 300)  # seconds; the second one is for windows of days
_MINUTE = 60
_AROUND = 2  # steps before and after the computed moment: rules are evaluated on a grid
_BURNS = (Fraction(1_000), Fraction(20), Fraction(8), Fraction(4), Fraction(3, 2), Fraction(1, 2))
_SERVICE = 'service="under-test"'
Test = dict[str, Any]


def test_files(slos: Slos) -> Mapping[str, str]:
    """Return the files of tests for promtool, by name."""
    files = {}
    for name, slo in slos.slos.items():
        rules = f"../prometheus/{name}.{{}}.rules.yaml"
        files[f"{name}.recording.test.yaml"] = _file(rules.format("recording"), 60, _recording_tests(name, slo, slos))
        for step in _STEPS:
            tests = _alert_tests(name, slo, slos, step)
            files[f"{name}.alerts-every-{written(step)}.test.yaml"] = _file(rules.format("alerts"), step, tests)
    return files


def moment(slo: Slo, rate: BurnRate, burn: Fraction, window_days: int) -> int | None:
    """Return how many seconds after its beginning an outage alerts that burns so many times too fast; None if never."""
    bad = min(Fraction(1), burn * slo.budget)
    threshold = rate.factor(window_days) * slo.budget
    if bad <= threshold:
        return None
    return ceil(threshold / bad * seconds(rate.long)) + seconds(rate.for_)


def _file(rules: str, step: int, tests: Iterable[Test]) -> str:
    return HEAD + dump({"rule_files": [rules], "evaluation_interval": written(step), "tests": list(tests)})


def _recording_tests(name: str, slo: Slo, slos: Slos) -> Iterator[Test]:
    """A tenth of the events is bad, on two instances, one of which starts anew; then none comes at all."""
    hours = 2
    steps = hours * 60
    own = f'{{slo="{name}"}}'
    yield {
        "name": f"{name}: counters become ratios, in which nothing counts that is none of its events",
        "interval": written(_MINUTE),
        "input_series": [
            *(series for instance in ("a", "b") for series in _counters(slo, instance, good=90, bad=10, steps=steps)),
            *(
                series
                for where in _elsewhere(slo)
                for series in _counters(slo, "a", where, good=7, bad=70, steps=steps)
            ),
            {"series": f'slo:errors:ratio_month{{{_SERVICE}, slo="another"}}', "values": f"0.5x{steps}"},
        ],
        "promql_expr_test": [
            *(
                _expect(
                    f"slo:errors:ratio_rate{window}{own}", hours * 3_600, {f"slo:errors:ratio_rate{window}": 0.1}, name
                )
                for window in windows(slos)
            ),
            _expect("slo:errors:ratio_month" + own, hours * 3_600, {"slo:errors:ratio_month": 0.1}, name),
            _expect(
                "slo:error_budget:remaining" + own,
                hours * 3_600,
                {"slo:error_budget:remaining": float(1 - Fraction(1, 10) / slo.budget)},
                name,
            ),
            {"expr": f"slo:errors:ratio_rate5m{own}", "eval_time": written(hours * 3_600 + 900), "exp_samples": []},
        ],
    }
    yield {
        "name": f"{name}: without events there is no ratio",
        "interval": written(_MINUTE),
        "input_series": list(_counters(slo, "a", good=0, bad=0, steps=steps)),
        "promql_expr_test": [
            {"expr": f"slo:errors:ratio_rate{window}{own}", "eval_time": written(3_600), "exp_samples": []}
            for window in windows(slos)
        ],
    }
    yield {
        "name": f"{name}: without a bad event the ratio is 0, and not missing",
        "interval": written(_MINUTE),
        "input_series": list(_counters(slo, "a", good=100, bad=0, steps=steps)),
        "promql_expr_test": [
            _expect(f"slo:errors:ratio_rate5m{own}", 3_600, {"slo:errors:ratio_rate5m": 0.0}, name),
            _expect(f"slo:error_budget:remaining{own}", 3_600, {"slo:error_budget:remaining": 1.0}, name),
        ],
    }


def _elsewhere(slo: Slo) -> Iterator[Mapping[str, str]]:
    """Yield labels of events that are none of the level's: each has another value in one of them."""
    for label in slo.events.where:
        yield {**slo.events.where, label: "another"}


def _counters(
    slo: Slo, instance: str, where: Mapping[str, str] | None = None, *, good: int, bad: int, steps: int
) -> Iterator[dict[str, str]]:
    """Yield series that count so many events in each step; those of instance b start anew halfway."""
    labels = ", ".join([f'{label}="{value}"' for label, value in (where or slo.events.where).items()])
    own = ", ".join(filter(None, [_SERVICE, f'instance="{instance}"', labels]))
    metric = slo.events.metric

    def values(each: int) -> str:
        half = steps // 2
        return f"0+{each}x{half} 0+{each}x{steps - half - 1}" if instance == "b" else f"0+{each}x{steps}"

    if slo.within_seconds is None:
        ((label, pattern),) = slo.bad.items()
        yield {"series": f'{slo.events.counter}{{{own}, {label}="200"}}', "values": values(good)}
        if bad:
            yield {
                "series": f'{slo.events.counter}{{{own}, {label}="{pattern.replace(".", "0")}"}}',
                "values": values(bad),
            }
        return
    yield {"series": f"{slo.events.counter}{{{own}}}", "values": values(good + bad)}
    yield {"series": f'{metric}_bucket{{{own}, le="{slo.within_seconds}"}}', "values": values(good)}
    yield {"series": f'{metric}_bucket{{{own}, le="+Inf"}}', "values": values(good + bad)}


def _expect(expr: str, at: int, values: Mapping[str, float], name: str) -> dict[str, Any]:
    samples = [
        {"labels": f'{metric}{{{_SERVICE}, slo="{name}"}}', "value": round(value, 12)}
        for metric, value in values.items()
    ]
    return {"expr": expr, "eval_time": written(at), "exp_samples": samples}


def _alert_tests(name: str, slo: Slo, slos: Slos, step: int) -> Iterator[Test]:
    rates = [rate for rate in slos.burn_rates if _step(rate) == step]
    for burn in _BURNS if rates else ():
        checks = []
        for rate in rates:
            at = moment(slo, rate, burn, slos.window_days)
            if at is None:
                checks.append(_firing(name, rate, seconds(rate.long) + 2 * seconds(rate.for_), fires=False))
                continue
            grid = ceil(at / step) * step
            checks.append(_firing(name, rate, grid - _AROUND * step, fires=False))
            checks.append(_firing(name, rate, grid + _AROUND * step, fires=True))
        outage = Outage(slo, min(Fraction(1), burn * slo.budget), step)
        yield _test(f"{name}: {float(burn):g} times too fast", outage, checks, name, slos)
    for rate in rates:
        yield _recovery(name, rate, Outage(slo, Fraction(1), step, seconds(rate.long)), slos)
        few = Outage(slo, Fraction(1), step, bad_events=slo.min_bad_events - 1)
        checks = [_firing(name, rate, seconds(rate.long) + 2 * seconds(rate.for_), fires=False)]
        yield _test(f"{name}: too few bad events for {rate.long}", few, checks, name, slos)


def _recovery(name: str, rate: BurnRate, outage: "Outage", slos: Slos) -> Test:
    """An outage ends when the long window is full of it: the short one ends the alert, long before the long one."""
    threshold = rate.factor(slos.window_days) * outage.slo.budget
    ended = ceil(seconds(rate.long) + seconds(rate.short) * (1 - threshold / outage.bad))
    silent = ended + (seconds(KEEP_FIRING) if rate.severity == "page" else 0) + _AROUND * outage.step
    checks = [
        _firing(name, rate, seconds(rate.long), fires=True),
        _firing(name, rate, ceil(silent / outage.step) * outage.step, fires=False),
    ]
    return _test(f"{name}: the end of an outage of {rate.long}", outage, checks, name, slos)


def _test(title: str, outage: "Outage", checks: list[dict[str, Any]], name: str, slos: Slos) -> Test:
    last = max(seconds(check["eval_time"]) for check in checks)
    labels = f'{{{_SERVICE}, slo="{name}"}}'
    series = []
    for window in windows(slos):
        bad_events = outage.slo.min_bad_events if outage.bad_events is None else outage.bad_events
        series += [
            {"series": f"slo:errors:ratio_rate{window}{labels}", "values": outage.ratios(seconds(window), last)},
            {"series": f"slo:bad_events:increase{window}{labels}", "values": f"{bad_events}x{last // outage.step + 5}"},
        ]
    return {"name": title, "interval": written(outage.step), "input_series": series, "promql_expr_test": checks}


@dataclass(frozen=True, slots=True)
class Outage:
    """A share of bad events that begins at once, and may end at once."""

    slo: Slo
    bad: Fraction
    step: int
    """Seconds between two samples."""
    ends: int | None = None
    """After how many seconds."""
    bad_events: int | None = None
    """In each window; as many as it takes, unless said."""

    def ratios(self, window: int, last: int) -> str:
        """Return, for promtool, the share of bad events within a window at each step."""
        ramp = max(1, window // self.step)
        rise = f"{float(self.bad / ramp):.15g}"
        whole = f"{float(self.bad):.15g}"
        flat = (last if self.ends is None else self.ends) // self.step - ramp
        if flat < 0:  # the window is longer than the outage
            return f"0+{rise}x{last // self.step}"
        if self.ends is None:
            return f"0+{rise}x{ramp} {whole}x{flat + 5}"
        return f"0+{rise}x{ramp} {whole}x{flat} {whole}-{rise}x{ramp} 0x{max(0, (last - self.ends) // self.step)}"


def _step(rate: BurnRate) -> int:
    """Return how often rules are evaluated for a test of this one: days minute by minute would take minutes."""
    return next(step for step in _STEPS if step == _STEPS[-1] or seconds(rate.long) <= 6 * 3_600)


def _firing(name: str, rate: BurnRate, at: int, *, fires: bool) -> dict[str, Any]:
    selector = f'alertname="{burn_alert(name)}", alertstate="firing", severity="{rate.severity}", window="{rate.long}"'
    expected = {"labels": f'ALERTS{{{selector}, owner="service", {_SERVICE}, slo="{name}"}}', "value": 1}
    return {
        "expr": f"ALERTS{{{selector}}}",
        "eval_time": written(at),
        "exp_samples": [expected] if fires else [],
    }
