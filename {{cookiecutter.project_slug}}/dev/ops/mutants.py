"""Rules with one mistake each: tests of rules that notice none of them prove little.

What is broken: a comparison turned round, a threshold moved, a condition dropped, `and` made `or`, a choice of series
dropped, patience dropped or quadrupled, the wrong severity.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser

from dev.ops.durations import seconds, written

_COMPARISONS = {">=": "<", "<=": ">", "==": "!=", ">": "<", "<": ">"}
_COMPARISON = re.compile(r" (>=|<=|==|>|<) ")
_THRESHOLD = re.compile(r"(?<= )(>=|<=|==|>|<) (-?[\d.]+(?:e[+-]?\d+)?)")
_MATCHER = re.compile(r'(?<=[{ ])(\w+)(=|=~|!=|!~)"[^"]*"(, |(?=}))')
_JOINT = re.compile(r" (and|unless|or)( on \([^)]*\))? ")


class Mutant(NamedTuple):
    """A rule that is wrong."""

    what: str
    rule: dict[str, Any]


def mutants(rule: dict[str, Any]) -> Iterator[Mutant]:
    """Yield the rule with each mistake."""
    for what, expr in _expressions(rule["expr"]):
        promql_parser.parse(expr)  # what is no PromQL is noticed by whatever reads it
        yield Mutant(what, {**rule, "expr": expr})
    if "for" in rule:
        yield Mutant("without patience", {name: value for name, value in rule.items() if name != "for"})
        yield Mutant("four times as patient", {**rule, "for": written(4 * seconds(rule["for"]))})
    if "alert" in rule:
        other = "ticket" if rule["labels"]["severity"] != "ticket" else "page"
        yield Mutant(f"a {other}", {**rule, "labels": {**rule["labels"], "severity": other}})


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    for found in _COMPARISON.finditer(expr):
        yield f"{found[1]} turned round at {found.start()}", _with(expr, found, f" {_COMPARISONS[found[1]]} ")
    for found in _THRESHOLD.finditer(expr):
        for moved in _moved(float(found[2])):
            yield f"{found[2]} is {moved:g} at {found.start()}", _with(expr, found, f"{found[1]} {moved:.12g}")
    for found in _MATCHER.finditer(expr):
        yield (
            f"without {found[0].strip(', ')} at {found.start()}",
            _with(expr, found, "").replace("{}", "").replace(", }", "}"),
        )
    joints = [found for found in _JOINT.finditer(expr) if _depth(expr, found.start()) == 0]
    for found in joints:
        if found[1] in ("and", "or"):
            other = "or" if found[1] == "and" else "and"
            yield f"{found[1]} is {other} at {found.start()}", _with(expr, found, f" {other}{found[2] or ''} ")
    bounds = [0, *(found.end() for found in joints)], [*(found.start() for found in joints), len(expr)]
    parts = [expr[begin:end] for begin, end in zip(*bounds, strict=True)]
    for number in range(1, len(parts)):
        kept = expr[: joints[number - 1].start()] + expr[bounds[1][number] :]
        yield f"without {parts[number]}", kept


def _moved(threshold: float) -> tuple[float, ...]:
    return (threshold * 2, threshold / 2) if threshold else (1e9,)


def _with(expr: str, found: re.Match[str], new: str) -> str:
    return expr[: found.start()] + new + expr[found.end() :]


def _depth(expr: str, at: int) -> int:
    return expr[:at].count("(") - expr[:at].count(")") + expr[:at].count("{") - expr[:at].count("}")
