"""What an expression asks for, held against what the code, Prometheus and its exporters expose."""

import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import promql_parser as promql

from app.kit.instruments import DECLARED, OTHER

TARGET_LABELS = ("job", "instance", "service")
"""What a scrape gives to everything that it reads."""
_FOREIGN: Mapping[str, Collection[str]] = {
    "up": (),
    "scrape_samples_post_metric_relabeling": (),
    "process_start_time_seconds": (),
    "process_resident_memory_bytes": (),
    "process_cpu_seconds_total": (),
    "process_open_fds": (),
    "process_max_fds": (),
    "probe_success": (),
    "probe_duration_seconds": (),
    "probe_ssl_earliest_cert_expiry": (),
    "ALERTS": ("alertname", "alertstate", "severity", "owner", "slo", "window"),
    "alertmanager_notification_requests_failed_total": ("integration",),
    "alertmanager_notification_requests_total": ("integration",),
    "build_info": ("version", "env"),
    "metric_label_overflow_total": ("metric", "label"),
}
"""Of others, by name: the labels that are asked for. Each is one more thing to hold against what is really exposed."""
_RECORDED = re.compile(r"slo:[a-z_]+:[a-z_]+([0-9]+[smhd])?")
_SUFFIXES = {"_bucket": ("le",), "_count": (), "_sum": ()}


class Selector(NamedTuple):
    """A choice of series."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""


def selectors(expr: str) -> list[Selector]:
    """Return every choice of series in an expression.

    Raises:
        ValueError: it is no PromQL; the message says why.
    """
    found: list[Selector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            matchers = tuple((each.name, _OPERATORS[str(each.op)], each.value) for each in node.matchers.matchers)
            found.append(Selector(node.name or "", matchers))

    promql.walk(promql.parse(expr), visit)
    return found


_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def mistakes(expr: str) -> Iterator[str]:
    """Yield what an expression asks for and nobody exposes."""
    try:
        chosen = selectors(expr)
    except ValueError as exc:
        yield f"it is no PromQL: {exc}"
        return
    known: set[str] = {*TARGET_LABELS, "__name__"}
    for selector in chosen:
        if not selector.metric and any(label == "service" for label, _, _ in selector.matchers):
            continue  # everything of a service
        labels = labels_of(selector.metric)
        if labels is None:
            yield f"nothing exposes {selector.metric or 'a metric without a name'}; see docs/metrics.md"
            continue
        known |= labels.keys()
        for label, operator, value in selector.matchers:
            if label not in labels:
                own = sorted(labels.keys() - {*TARGET_LABELS})
                yield f"{selector.metric} has no label {label}, but {', '.join(own) or 'none'}"
            elif why := _never(operator, value, labels[label]):
                yield f"{selector.metric} has no such {label}: {why}"
    for label in grouped(expr):
        if label not in known:
            yield f"it groups by {label}, which none of its metrics has"


def labels_of(metric: str) -> Mapping[str, Collection[str] | int] | None:
    """Return the labels of a metric, each with its values or their number; None if nobody exposes it."""
    anything = dict.fromkeys(TARGET_LABELS, 0)
    if metric in _FOREIGN:
        return {**anything, **dict.fromkeys(_FOREIGN[metric], 0)}
    if _RECORDED.fullmatch(metric):
        return {**anything, "slo": 0}
    for ending, more in _SUFFIXES.items():
        declared = DECLARED.get(metric.removesuffix(ending)) if metric.endswith(ending) else None
        if declared and declared.kind == "histogram":
            bounds = {"le": [*map(str, declared.bounds), "+Inf"]} if more else {}
            return {**anything, **declared.labels, **bounds}
    found = DECLARED.get(metric)
    return {**anything, **found.labels} if found and found.kind != "histogram" else None


def declare_all() -> None:
    """Import what declares metrics: afterwards `DECLARED` knows all of them."""
    for module in ("app.main", "app.worker", "app.probe"):
        importlib.import_module(module)


def _never(operator: str, value: str, values: Collection[str] | int) -> str:
    """Return why no series can match, or nothing."""
    if isinstance(values, int) or operator not in ("=", "=~"):
        return ""
    matches = re.compile(value if operator == "=~" else re.escape(value)).fullmatch
    if any(matches(each) for each in (*values, OTHER, "")):
        return ""
    return f"{value!r} is none of its values: {', '.join(values)}"


def grouped(expr: str) -> set[str]:
    """Return the labels that an expression groups by."""
    found: set[str] = set()

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)

    promql.walk(promql.parse(expr), visit)
    return found
