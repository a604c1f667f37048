"""Does the release that was just deployed work, and is it seen to? Asks Prometheus alone.

    python -m dev.delivery.smoke 1.4.0 --prometheus https://prometheus.example.com

Customers' steps are tried by the probe, which was deployed with it. So what is missing here is a process, a step, an
event that takes no effect, or telemetry: each of these is a release that must not go on to production.
Exit status: 0 all is seen, 1 something is not, 2 Prometheus did not answer.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.environment import service_name
from dev.http_client import NotKnown, read_token
from dev.prometheus_api import PrometheusApi

_ORDERS = 'http_server_request_duration_seconds_count{http_route="/v1/orders'
_NEW = 'and on (instance) build_info{service="$service", version="$version"}'


def _grows(series: str) -> str:
    return f"(increase({series}[2m]) > 0) {_NEW}"


CHECKS: Mapping[str, str] = {
    "orders are taken": _grows(f'{_ORDERS}", http_request_method="POST", http_response_status_code="201"}}'),
    "orders are read": _grows(f'{_ORDERS}/{{order_id}}", http_request_method="GET", http_response_status_code="200"}}'),
    "events take effect": _grows('inbox_messages_handled_total{outcome="handled"}'),
    "the probe's steps succeed": f"(min by (instance) (synthetic_journey_success) == 1) {_NEW}",
    "log lines are written": _grows('log_lines_total{event="http.request"}'),
    "traces are sent": _grows("spans_exported_total"),
    "nobody is paged": 'absent(ALERTS{service="$service", severity="page", alertstate="firing"})',
}
"""What has to be seen, by name: an expression that finds something when it is."""


def missing(prometheus: PrometheusApi, service: str, version: str) -> list[str]:
    """Return what is not seen.

    Raises:
        NotKnown: Prometheus did not answer.
    """
    return [name for name, query in CHECKS.items() if not prometheus.query(filled(query, service, version))]


def filled(query: str, service: str, version: str) -> str:
    """Return a check's expression for one release of one service."""
    return query.replace("$service", service).replace("$version", version)


def main(words: Sequence[str] | None = None) -> int:
    """Look until all is seen or time is up; print what is not, and return the exit status."""
    arguments = _parser().parse_args(words)
    end = time.monotonic() + arguments.minutes * 60
    while True:
        left, why = list(CHECKS), ""
        try:
            prometheus = PrometheusApi(arguments.prometheus, token=read_token(arguments.token_file))
            left = missing(prometheus, arguments.service, arguments.version)
        except NotKnown as exc:
            why = str(exc)
        if not left:
            print(f"smoke: {arguments.service} {arguments.version} works, and is seen to.")
            return 0
        if time.monotonic() >= end:
            break
        time.sleep(arguments.every)
    if why:
        print(f"smoke: not known: {why}", file=sys.stderr)
        return 2
    for name in CHECKS:
        print(f"{'NOT SEEN' if name in left else 'seen    '}  {name}")
    return 1


def _parser() -> argparse.ArgumentParser:
    url = os.environ.get("PROMETHEUS_URL")
    parser = argparse.ArgumentParser(
        prog="python -m dev.delivery.smoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="of the release, as build_info has it")
    parser.add_argument("--prometheus", default=url, required=not url, help="address; or PROMETHEUS_URL")
    parser.add_argument("--token-file", type=Path, help="holds a bearer token for Prometheus")
    parser.add_argument("--service", default=service_name(), help="label `service`; default %(default)s")
    parser.add_argument("--minutes", type=float, default=5, help="how long to look; default %(default)s")
    parser.add_argument("--every", type=float, default=5, help="seconds between two looks; default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
