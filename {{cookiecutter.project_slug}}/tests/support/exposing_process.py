"""A process as `app telemetry-cost` sees it: nothing but its metrics, and they are what a test wants them to be."""

from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

EXPOSED = """\
# HELP http_server_request_duration_seconds Duration of HTTP server requests.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_route="/v1/orders",le="0.5"} REQUESTS
http_server_request_duration_seconds_bucket{http_route="/v1/orders",le="+Inf"} REQUESTS
http_server_request_duration_seconds_count{http_route="/v1/orders"} REQUESTS
http_server_request_duration_seconds_sum{http_route="/v1/orders"} 12.5
# TYPE log_lines_total counter
log_lines_total{event="http.request"} REQUESTS
log_lines_total{event="inbox.message_handled"} 7
# TYPE log_bytes_total counter
log_bytes_total{event="http.request"} BYTES
log_bytes_total{event="inbox.message_handled"} 700
# TYPE log_lines_dropped_total counter
log_lines_dropped_total{event="http.request",reason="rate"} 4
# TYPE spans_exported_total counter
spans_exported_total{name="GET /v1/orders"} SPANS
# TYPE span_bytes_exported_total counter
span_bytes_exported_total{name="GET /v1/orders"} SPAN_SIZE
# TYPE spans_dropped_total counter
# TYPE queue_depth gauge
queue_depth 3
"""
BEFORE = {"REQUESTS": 1000, "BYTES": 600_000, "SPANS": 100, "SPAN_SIZE": 40_000}
AFTER = {"REQUESTS": 3000, "BYTES": 1_800_000, "SPANS": 300, "SPAN_SIZE": 140_000}
"""2 000 requests later: 600 bytes of log and a tenth of a span of 500 bytes for each."""


def exposed(amounts: Mapping[str, object]) -> str:
    """Return what a process exposes."""
    text = EXPOSED
    for name, amount in amounts.items():
        text = text.replace(name, str(amount))
    return text


class ExposingProcess:
    """A process with metrics, as seen from outside."""

    def __init__(self) -> None:
        self.url = ""
        self.text = exposed(BEFORE)
        self.status = 200

    def app(self) -> Starlette:
        """Return its HTTP side."""
        return Starlette(routes=[Route("/metrics", self._answer)])

    async def _answer(self, _: Request) -> Response:
        return PlainTextResponse(self.text, status_code=self.status)

    def works(self, text: str = exposed(AFTER)) -> Callable[[float], None]:
        """Return what happens between the scrapes."""

        def work(_: float) -> None:
            self.text = text

        return work
