"""May a release go out? Asks Prometheus how much is left of the error budget of each service level.

Exit status: 0 allowed, 1 frozen, 2 unknown. Whatever cannot be known is unknown: a person decides, as
docs/incidents/error-budget-policy.md says. The rules are in ops/release-policy.yaml.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from dev.environment import named, service_name
from dev.http_client import NotKnown, read_token
from dev.ops import slos
from dev.ops.lines import BadSource
from dev.prometheus_api import PrometheusApi
from dev.release_gate import policy as policies
from dev.release_gate.decision import Decision, Verdict, decide
from dev.release_gate.measured import measure

_SECONDS = 5.0


def main(words: Sequence[str] | None = None) -> int:
    """Print the decision, and return the exit status."""
    arguments = _parser().parse_args(words)
    try:
        decision = _decision(arguments)
    except (NotKnown, BadSource, ValueError) as exc:
        decision = Decision(Verdict.UNKNOWN, str(exc))
    except Exception as exc:  # noqa: BLE001 - a mistake in the gate must not look like a decision
        decision = Decision(Verdict.UNKNOWN, f"the gate itself is broken: {exc!r}")
    print(_json(decision, arguments) if arguments.json else table(decision, arguments.service, arguments.reason))
    return decision.verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.release_gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prometheus", default=os.environ.get("PROMETHEUS_URL"), help="address; or PROMETHEUS_URL")
    parser.add_argument("--token-file", type=Path, help="holds a bearer token for Prometheus")
    parser.add_argument("--service", default=service_name(), help="label `service` of its series; default %(default)s")
    parser.add_argument("--reason", help="what the release is for, if that may go out while frozen: see the policy")
    parser.add_argument("--json", action="store_true", help="for machines")
    return parser


def _decision(arguments: argparse.Namespace) -> Decision:
    levels = slos.read()
    policy = policies.read(levels)
    if arguments.reason not in {None, *policy.exceptions}:
        raise NotKnown(f"--reason {arguments.reason} is not in the policy, but {', '.join(policy.exceptions)}")
    if not arguments.prometheus:
        raise NotKnown("where is Prometheus? Say it with --prometheus or in PROMETHEUS_URL")
    prometheus = PrometheusApi(arguments.prometheus, token=read_token(arguments.token_file), timeout_seconds=_SECONDS)
    return decide(measure(prometheus, named(arguments.service), levels, policy), levels, policy, arguments.reason)


def table(decision: Decision, service: str, reason: str | None) -> str:
    """Return the decision for people."""
    windows = list(dict.fromkeys(window for level in decision.levels for window in level.burn))
    rows = [("service level", "budget left", *(f"burn {window}" for window in windows), "verdict")]
    for level in decision.levels:
        left = "-" if level.percent_left is None else f"{level.percent_left:.1f} %"
        burn = [f"{level.burn[window]:.1f}x" if window in level.burn else "-" for window in windows]
        rows.append((level.level, left, *burn, ": ".join(filter(None, (level.verdict, level.why)))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:-1]), row[-1]])
        for row in (rows if decision.levels else [])
    ]
    head = f"Release of {service}{f' for {reason}' if reason else ''}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return "\n".join([head, *lines, f"{decision.verdict.name}: {decision.why}"])


def _json(decision: Decision, arguments: argparse.Namespace) -> str:
    named = {
        "service": arguments.service,
        "reason": arguments.reason,
        "at": datetime.now(UTC).isoformat("T", "seconds"),
    }
    return json.dumps({**named, **asdict(decision), "verdict": decision.verdict.name.lower()}, allow_nan=False)


if __name__ == "__main__":
    sys.exit(main())
