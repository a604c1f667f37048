"""What the telemetry of a running service costs: measured, held against the budget, and priced by the month."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.telemetry_policy import BadPolicy, Policy, load
from app.telemetry_usage import (
    LOG_BYTES,
    LOG_LINES,
    LOG_LINES_DROPPED,
    SPAN_BYTES,
    SPANS,
    SPANS_DROPPED,
    Amounts,
    Unmeasurable,
    Usage,
    measure,
    scrape,
)

_WITHIN, _OVER, _UNMEASURABLE = 0, 1, 2
_SECONDS_PER_MONTH = 30 * 24 * 3600
_GB = 1_000_000_000
_SHOWN = 5
_UP = ("http://127.0.0.1:8000", "http://127.0.0.1:8001")  # where `make up` starts the two processes


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the bill."""

    title: str
    amount: float
    """Per 1 000 requests, except for what a process holds."""
    budget: float
    per_month: float
    unit: str = ""
    price: float = 0

    @property
    def over(self) -> bool:
        """Whether the budget is exceeded."""
        return self.amount > self.budget


def bill(usage: Usage, policy: Policy, *, requests_per_second: float, head_ratio: float | None = None) -> list[Row]:
    """Return the lines of the bill; spans are counted as if the measured `head_ratio` were production's."""
    budget, prices = policy.budget, policy.prices
    production = policy.sampling.traces.head_ratio.production
    thousands_per_month = requests_per_second * _SECONDS_PER_MONTH / 1000

    def row(title: str, amount: float, allowed: float, *, gb_price: float | None = None) -> Row:
        monthly = amount * thousands_per_month
        if gb_price is None:
            return Row(title, amount, allowed, monthly)
        return Row(title, amount, allowed, monthly / _GB, "GB", monthly / _GB * gb_price)

    def per_1000(amount: float) -> float:
        return amount * 1000 / usage.requests

    spans_kept = production / (head_ratio or production)
    spans, span_bytes = (per_1000(usage.total(counter)) * spans_kept for counter in (SPANS, SPAN_BYTES))
    lines, log_bytes = (per_1000(usage.total(counter)) for counter in (LOG_LINES, LOG_BYTES))
    sizes = [metrics.total() for metrics in usage.series.values()]
    series = sum(sizes) * policy.assumed.replicas
    return [
        row("log bytes", log_bytes, budget.log_bytes_per_1000_requests, gb_price=prices.logs_per_gb),
        row("log lines", lines, budget.log_lines_per_1000_requests),
        row("span bytes", span_bytes, budget.span_bytes_per_1000_requests, gb_price=prices.traces_per_gb),
        row("spans", spans, budget.spans_per_1000_requests),
        Row(
            "series per process",
            max(sizes),
            budget.series_per_process,
            series,
            "series",
            series / 1000 * prices.per_1000_series,
        ),
        row("new series", per_1000(usage.new_series.total()), budget.new_series_per_1000_requests),
    ]


def main(words: Sequence[str], pause: Callable[[float], object] = time.sleep) -> int:
    """Measure, print the report and return the exit status: 0 within budget, 1 over, 2 if nothing could be measured."""
    arguments = _parser().parse_args(words)
    urls = arguments.url or list(_UP)
    try:
        policy = load(arguments.policy)
        before = scrape(urls)
        pause(arguments.seconds)
        usage = measure(before, scrape(urls))
    except (BadPolicy, Unmeasurable) as exc:
        print(f"app: {exc}", file=sys.stderr)
        return _UNMEASURABLE
    rate = arguments.rate or policy.assumed.requests_per_second
    rows = bill(usage, policy, requests_per_second=rate, head_ratio=arguments.ratio)
    print("\n".join(report(usage, rows, policy, rate)))
    return _OVER if any(row.over for row in rows) else _WITHIN


def report(usage: Usage, rows: list[Row], policy: Policy, rate: float) -> Iterator[str]:
    """Yield the lines of the report: the bill, what was lost, and where most comes from."""
    currency = policy.prices.currency
    yield f"{usage.requests:,.0f} requests, {len(usage.series)} processes; a month has 30 days at {rate:g} requests/s"
    yield ""
    yield f"{'per 1 000 requests':<20}{'measured':>12}{'budget':>12}  {'':<6}{'a month':>18}{currency:>10}"
    for row in rows:
        verdict = "OVER" if row.over else "OK"
        monthly = f"{row.per_month:,.1f} {row.unit}" if row.unit else f"{row.per_month:,.0f}"
        price = f"{row.price:,.2f}" if row.unit else ""
        yield f"{row.title:<20}{row.amount:>12,.0f}{row.budget:>12,.0f}  {verdict:<6}{monthly:>18}{price:>10}"
    yield f"{'together':<70}{sum(row.price for row in rows):>10,.2f}"
    yield ""
    lost = {"log lines": usage.total(LOG_LINES_DROPPED), "spans": usage.total(SPANS_DROPPED)}
    yield f"not in this bill, because dropped: {', '.join(f'{amount:,.0f} {what}' for what, amount in lost.items())}"
    yield from _most("log bytes by event", usage.counted[LOG_BYTES])
    yield from _most("span bytes by name", usage.counted[SPAN_BYTES])
    for url, metrics in usage.series.items():
        yield from _most(f"series by metric at {url}", metrics)
    yield from _most("new series by metric", usage.new_series)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="app telemetry-cost",
        description="Measure what the telemetry of a running service costs, against its budget.",
        epilog="Exit status: 0 within budget, 1 over, 2 if nothing could be measured.",
    )
    parser.add_argument("--url", action="append", help=f"one process of each kind; default {' and '.join(_UP)}")
    parser.add_argument("--seconds", type=_positive, default=30, help="between the two scrapes; default 30")
    parser.add_argument("--rate", type=_positive, help="requests/s to compute a month for; default: the policy's")
    parser.add_argument(
        "--ratio", type=_positive, help="APP_TRACING__RATIO of what is measured, if not production's: spans are scaled"
    )
    parser.add_argument("--policy", type=Path, default=Path("ops/telemetry-policy.yaml"))
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _most(title: str, amounts: Amounts) -> Iterator[str]:
    """Yield the largest contributors, with their share."""
    total = sum(amounts.values())
    if not total:
        return
    yield f"\n{title}"
    for source, amount in sorted(amounts.items(), key=lambda pair: -pair[1])[:_SHOWN]:
        yield f"  {amount / total:>4.0%} {amount:>12,.0f}  {source}"
