"""Begins a postmortem: the template, with the timeline and the budget spent, as Prometheus knows them.

FROM and TO are moments such as 2026-03-02T09:00, in UTC unless they say otherwise.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dev.environment import named, service_name
from dev.http_client import NotKnown, read_token
from dev.ops import slos
from dev.ops.lines import BadSource
from dev.postmortem.page import page
from dev.postmortem.timeline import Period
from dev.prometheus_api import PrometheusApi

_SECONDS = 30.0  # a question about 30 days takes its time


def moment(written: str) -> float:
    """Return the Unix time of a moment in ISO 8601."""
    parsed = datetime.fromisoformat(written)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def main(words: Sequence[str] | None = None) -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.postmortem", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prometheus", default=os.environ.get("PROMETHEUS_URL"), help="address; or PROMETHEUS_URL")
    parser.add_argument("--token-file", type=Path, help="holds a bearer token for Prometheus")
    parser.add_argument("--service", type=named, default=service_name(), help="default %(default)s")
    parser.add_argument("start", metavar="FROM", type=moment)
    parser.add_argument("end", metavar="TO", type=moment)
    arguments = parser.parse_args(words)
    if not arguments.prometheus:
        parser.error("where is Prometheus? Say it with --prometheus or in PROMETHEUS_URL")
    if arguments.end - arguments.start < 1:
        parser.error("TO must be after FROM")
    try:
        prometheus = PrometheusApi(
            arguments.prometheus, token=read_token(arguments.token_file), timeout_seconds=_SECONDS
        )
        print(page(prometheus, Period(arguments.service, arguments.start, arguments.end), slos.read()), end="")
    except (NotKnown, BadSource) as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
